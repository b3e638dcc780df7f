//! One scene for every allocator: much is allocated in small blocks and freed, and the allocator keeps it.

use std::hint::black_box;

use memguard_layer::{Source, source::Resident};

pub(crate) fn gives_back(purge: impl Fn()) {
    const MUCH: usize = 128 << 20;
    let resident = Resident::new().unwrap();
    let blocks: Vec<_> = (0..MUCH / 1024)
        .map(|_| black_box(vec![1_u8; 1000].into_boxed_slice()))
        .collect();
    let full = resident.bytes();
    // The last of them stays, so that nothing can be cut off the end of a contiguous heap.
    let last = blocks.into_iter().next_back();
    let kept = resident.bytes();
    purge();
    let purged = resident.bytes();
    println!("{full} bytes resident, {kept} when they are freed, {purged} after the purge");
    assert!(
        purged < full - MUCH as u64 / 2,
        "{full} -> {kept} -> {purged}"
    );
    drop(last);
}
