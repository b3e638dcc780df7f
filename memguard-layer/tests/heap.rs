//! The counting allocator as the process's own: no byte is lost, whichever thread frees it.

use std::{sync::mpsc, thread};

use memguard_layer::{Heap, heap};

#[global_allocator]
static HEAP: Heap = Heap::new().with_peak();

/// 100 threads allocate, grow and free, and hand half of their blocks to their neighbour to free.
fn churn() {
    let (sender, receiver) = mpsc::channel::<Vec<Vec<u8>>>();
    let threads: Vec<_> = (0..100_u64)
        .map(|seed| {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut blocks: Vec<Vec<u8>> = Vec::new();
                let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
                for _ in 0..500 {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let at = random as usize % (blocks.len() + 1);
                    match blocks.get_mut(at) {
                        Some(block) if random & 64 == 0 => block.resize(block.len() * 2, 1),
                        Some(_) if random & 128 == 0 => drop(blocks.swap_remove(at)),
                        _ => blocks.push(vec![0; 16 + (random >> 16) as usize % 2000]),
                    }
                    if blocks.iter().map(Vec::len).sum::<usize>() > 1 << 18 {
                        blocks.truncate(blocks.len() / 2);
                    }
                }
                let rest = blocks.split_off(blocks.len() / 2);
                sender.send(rest).unwrap();
            })
        })
        .collect();
    drop(sender);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(receiver.iter().count(), 100);
}

#[test]
fn after_a_hundred_threads_have_ended_not_a_byte_is_off() {
    churn(); // What the runtime sets up once is there from now on.
    let before = heap::allocated().unwrap();
    churn();
    assert_eq!(heap::allocated().unwrap(), before);
    assert!(
        heap::peak().unwrap() > before + (1 << 18),
        "what they held at once"
    );
    heap::reset_peak();
    let block = std::hint::black_box(vec![1_u8; 12_345]);
    assert_eq!(heap::allocated().unwrap(), before + 12_345);
    drop(block);
    assert_eq!(heap::peak().unwrap(), before + 12_345);
}
