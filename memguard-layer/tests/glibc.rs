//! What a purge brings back in a process that allocates by glibc's malloc.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod support;

use memguard_layer::purge;

#[test]
fn a_purge_gives_pages_back_to_the_system() {
    support::purge::gives_back(purge::glibc);
}
