//! What a purge brings back in a process that allocates by jemalloc.

#![cfg(target_os = "linux")]

mod support;

use memguard_layer::purge;

#[global_allocator]
static JEMALLOC: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[test]
fn a_purge_gives_pages_back_to_the_system() {
    support::purge::gives_back(purge::jemalloc);
}
