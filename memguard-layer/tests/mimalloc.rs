//! What a purge brings back in a process that allocates by mimalloc.

#![cfg(target_os = "linux")]

mod support;

use memguard_layer::purge;

#[global_allocator]
static MIMALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[test]
fn a_purge_gives_pages_back_to_the_system() {
    support::purge::gives_back(purge::mimalloc);
}
