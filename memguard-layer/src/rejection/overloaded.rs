//! Why a request was refused.

use std::{error::Error, fmt, time::Duration};

use crate::Level;

/// Why a request was refused for want of memory.
///
/// It rides in the extensions of the guard's response, is given to
/// [`with_rejection`](crate::MemGuardLayer::with_rejection), and is the error of a body that the guard ended.
#[derive(Clone, Debug)]
pub struct Overloaded {
    pub(crate) kind: OverloadedKind,
    pub(crate) level: Level,
    pub(crate) wanted: u64,
    pub(crate) budget: u64,
    pub(crate) retry_after: Duration,
}

/// What kind of shortage it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverloadedKind {
    /// There is no room now; there may be later.
    NoRoom,
    /// The request is of low [priority](crate::Priority), and memory is getting short.
    Shed,
    /// This body alone is larger than the whole budget; there will never be room.
    TooLarge,
}

impl Overloaded {
    /// Whether the shortage may pass.
    #[must_use]
    pub fn kind(&self) -> OverloadedKind {
        self.kind
    }

    /// The level at the time of the refusal.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The bytes that did not fit; 0 for a request without a body.
    #[must_use]
    pub fn wanted(&self) -> u64 {
        self.wanted
    }

    /// The budget in bytes.
    #[must_use]
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// After what time a client may try again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.retry_after
    }
}

impl fmt::Display for Overloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            OverloadedKind::NoRoom => {
                write!(f, "no room for {} bytes in the memory budget", self.wanted)
            }
            OverloadedKind::Shed => {
                write!(f, "memory is kept for requests of higher priority")
            }
            OverloadedKind::TooLarge => {
                write!(f, "{} bytes can never fit the memory budget", self.wanted)
            }
        }
    }
}

impl Error for Overloaded {}
