//! Without a counting heap and without jemalloc, the resident set is the measure.

#![cfg(target_os = "linux")]

use memguard_layer::{MemGuardLayer, source::Counted};

#[test]
fn the_resident_set_is_found() {
    let error = Counted::new().unwrap_err().to_string();
    assert!(error.contains("#[global_allocator]"), "{error}");
    let guard = MemGuardLayer::new(64 << 20).handle();
    assert_eq!(guard.stats().source, "resident set");
    let before = guard.heap();
    let block = vec![1_u8; 32 << 20];
    let after = guard.heap();
    assert!(
        after >= before + (24 << 20),
        "{before} -> {after} with {} bytes touched",
        block.len()
    );
}
