//! The octets of a key, put together without allocating for all but the longest.

use std::ops::Deref;

const INLINE: usize = 232;

/// A growing octet string; plain copies into a fixed array cost a fraction of a general vector's.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "boxing the short one would be the allocation it saves"
)]
pub(super) enum Parts {
    Short { octets: [u8; INLINE], length: usize },
    Long(Vec<u8>),
}

impl Parts {
    pub(super) fn new() -> Self {
        Self::Short {
            octets: [0; INLINE],
            length: 0,
        }
    }

    pub(super) fn push(&mut self, part: &[u8]) {
        match self {
            Self::Short { octets, length } => {
                if let Some(room) = octets.get_mut(*length..*length + part.len()) {
                    room.copy_from_slice(part);
                    *length += part.len();
                } else {
                    *self = Self::Long([&octets[..*length], part].concat());
                }
            }
            Self::Long(octets) => octets.extend_from_slice(part),
        }
    }

    /// Overwrites four octets: a length that is known only after its part.
    pub(super) fn set(&mut self, at: usize, length: usize) {
        let octets = match self {
            Self::Short { octets, .. } => &mut octets[..],
            Self::Long(octets) => octets,
        };
        // Any length fits: targets and header sections are far below 4 GiB.
        octets[at..at + 4].copy_from_slice(&(length as u32).to_le_bytes());
    }

    pub(super) fn push_with_length(&mut self, part: &[u8]) {
        self.push(&(part.len() as u32).to_le_bytes());
        self.push(part);
    }
}

impl Deref for Parts {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short { octets, length } => &octets[..*length],
            Self::Long(octets) => octets,
        }
    }
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Parts {}
