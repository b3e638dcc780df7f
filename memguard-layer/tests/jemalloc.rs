//! In a process that allocates by jemalloc its statistics are the measure, and no byte of a reservation is missed between
//! two samples.

use std::{
    hint::black_box,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use memguard_layer::{MemGuardLayer, Source, source::Jemalloc};

#[global_allocator]
static JEMALLOC: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const MIB: u64 = 1 << 20;

/// The statistics belong to the process, so one test at a time may allocate.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn the_statistics_are_found_and_follow_what_is_allocated() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let statistics = Jemalloc::new().unwrap();
    let before = statistics.bytes();
    let block = black_box(vec![1_u8; 8 << 20]);
    let with_block = statistics.bytes();
    assert!(
        with_block.abs_diff(before + 8 * MIB) < MIB,
        "{before} -> {with_block}, but for what the test harness does meanwhile"
    );
    drop(block);
    assert!(statistics.bytes() < before + MIB);

    let guard = MemGuardLayer::new(64 * MIB).handle();
    assert_eq!(guard.source(), "jemalloc statistics");
}

#[test]
fn what_moves_from_reserved_to_allocated_is_never_missing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let guard = MemGuardLayer::new(64 * MIB).handle();
    let mut blocks = Vec::new();
    let mut promise = guard.reserve(40 * MIB).expect("there is room");
    while promise.bytes() > 0 {
        blocks.push(black_box(vec![1_u8; 1 << 20]));
        promise.release(MIB);
        let held = blocks.len() as u64 * MIB + promise.bytes();
        assert!(guard.heap() + guard.reserved() >= held);
        assert!(guard.reserve(25 * MIB).is_none(), "40 of 64 are taken");
    }
    drop(blocks);
    // The sampler's thread runs by the real clock.
    let freed = (0..400).any(|_| {
        thread::sleep(Duration::from_millis(5));
        guard.reserve(50 * MIB).is_some()
    });
    assert!(
        freed,
        "a later sample sees that they are gone: {}",
        guard.heap()
    );
}
