//! The cache as the flags have it.

use cache_layer::CacheLayer;
use memguard_layer::{Level, MemGuardHandle};

use crate::flags::Flags;

/// `None` without bytes. Nothing new is stored while memory is getting short: it would have to be given
/// back before long.
pub(crate) fn layer(flags: &Flags, guard: &MemGuardHandle) -> Option<CacheLayer> {
    let bytes = flags.cache_bytes.as_u64();
    if bytes == 0 {
        return None;
    }
    // A receiver of the level and no handle: the guard has one of the cache, and neither would ever go.
    let level = guard.watch();
    let layer = CacheLayer::new(bytes)
        .max_entry_bytes(flags.max_entry_bytes.as_u64())
        .admit_while(move || *level.borrow() < Level::Elevated);
    Some(match flags.default_ttl {
        Some(ttl) => layer.default_ttl(*ttl),
        None => layer,
    })
}
