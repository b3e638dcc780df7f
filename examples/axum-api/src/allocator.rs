//! The process's allocator: it counts every byte on the heap, which is what the memory guard reads.

use memguard_layer::{Heap, purge};

#[cfg(not(feature = "pprof"))]
#[global_allocator]
static HEAP: Heap = Heap::new();

#[cfg(feature = "pprof")]
#[global_allocator]
static HEAP: Heap<tikv_jemallocator::Jemalloc> = Heap::with(tikv_jemallocator::Jemalloc);

/// Makes it give back to the system what it keeps for later.
pub(crate) fn give_back() {
    #[cfg(feature = "pprof")]
    purge::jemalloc();
    #[cfg(all(not(feature = "pprof"), target_os = "linux", target_env = "gnu"))]
    purge::glibc();
}
