//! What one slot's word says.

/// One slot's word: sixty bits of state (36 years of nanoseconds) or, unsettled, as many of the tag;
/// three bits counting tenants; one that says unsettled. A zero word is an empty slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

const UNSETTLED: u64 = 0b0001;
const TENANT: u64 = 0b1110;
const TENANT_STEP: u64 = 0b0010;
const PUBLISHED: u64 = 0b1_0000;
const STATE_SHIFT: u32 = 4;
/// Where time ends.
const LATEST: u64 = u64::MAX >> STATE_SHIFT;

impl Word {
    pub(super) fn is_settled(self) -> bool {
        self.0 & UNSETTLED == 0
    }

    pub(super) fn state(self) -> u64 {
        self.0 >> STATE_SHIFT
    }

    /// Settled in `state`, same tenant.
    pub(super) fn settled(self, state: u64) -> Self {
        Self(state.min(LATEST) << STATE_SHIFT | self.0 & TENANT)
    }

    /// Claimed by the next tenant.
    pub(super) fn claimed(self, tag: u64) -> Self {
        let tenant = self.0.wrapping_add(TENANT_STEP) & TENANT;
        Self(tag & !(PUBLISHED | TENANT | UNSETTLED) | tenant | UNSETTLED)
    }

    pub(super) fn published(self) -> Self {
        Self(self.0 | PUBLISHED)
    }

    pub(super) fn unpublished(self) -> Self {
        Self(self.0 & !PUBLISHED)
    }

    pub(super) fn is_published(self) -> bool {
        !self.is_settled() && self.0 & PUBLISHED != 0
    }
}
