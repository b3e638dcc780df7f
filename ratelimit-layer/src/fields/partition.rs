//! Whose share it is that a field tells of: the `pk` parameter, for clients with several keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::hash::{BuildHasher, RandomState};

/// Names clients without saying who they are. The table's own hashes would tell its secret, which
/// keeps clients from choosing whom they meet in it; SipHash under another secret does not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Partitions(RandomState);

impl Partitions {
    pub(crate) fn of(&self, client: u64) -> Partition {
        Partition(self.0.hash_one(client))
    }
}

/// One client's partition key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partition(u64);

impl Partition {
    /// `;pk=:` and `:` around eight bytes in base64.
    pub(super) const LENGTH: usize = 5 + 12 + 1;

    /// A Byte Sequence (RFC 9651, section 4.1.8), which is padded.
    pub(super) fn parameter(self) -> [u8; Self::LENGTH] {
        let mut parameter = *b";pk=:____________:";
        STANDARD
            .encode_slice(self.0.to_be_bytes(), &mut parameter[5..17])
            .expect("eight bytes are twelve characters");
        parameter
    }
}
