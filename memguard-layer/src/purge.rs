//! Making the allocator give back what it keeps for later.
//!
//! Freed memory stays with the allocator, and so in the resident set and in the cgroup's usage; the heap does not count it.
//! Near the cgroup's [ceiling](crate::cgroup) that is what to take first. Each function takes milliseconds, more with much
//! memory, and may hold up threads that allocate meanwhile: call it off the async workers, and seldom.
//!
//! Take the function of the allocator that the process has; over the others it does nothing useful.

#![expect(
    unsafe_code,
    reason = "allocators tell of this by C functions only, which take no pointers from here"
)]

/// Gives all unused pages of all arenas back to the system; feature `jemalloc`.
///
/// jemalloc does it by itself as well, some ten seconds after they were freed (`dirty_decay_ms`).
#[cfg(feature = "jemalloc")]
pub fn jemalloc() {
    use std::ptr::null_mut;

    // 4096 is MALLCTL_ARENAS_ALL, jemalloc(3).
    let name = c"arena.4096.purge";
    // SAFETY: the name ends with a zero byte, and the control neither reads nor writes a value.
    let status =
        unsafe { tikv_jemalloc_sys::mallctl(name.as_ptr(), null_mut(), null_mut(), null_mut(), 0) };
    debug_assert_eq!(status, 0, "jemalloc has this control since version 4");
}

/// Gives whole free pages, wherever they are, back to the system, by glibc's `malloc_trim(0)`.
///
/// For Rust's default allocator on Linux with glibc.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn glibc() {
    // SAFETY: `malloc_trim` may be called at any time, on any thread.
    unsafe { libc::malloc_trim(0) };
}

/// Collects what threads freed for each other, and gives unused segments back to the system, by `mi_collect(true)`; feature
/// `mimalloc`.
#[cfg(feature = "mimalloc")]
pub fn mimalloc() {
    // SAFETY: `mi_collect` may be called at any time, on any thread.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
