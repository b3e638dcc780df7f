//! What counting costs per allocation, over three allocators, and whether it is exact: `cargo bench -p memguard-layer
//! --bench heap`.

#![expect(
    unsafe_code,
    reason = "allocators are called directly, to compare several in one process"
)]

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    hint::black_box,
    sync::{Barrier, Mutex, mpsc},
    thread,
};

use memguard_layer::{Heap, heap};
use mimalloc::MiMalloc;
use support::{ROUNDS, interleave, per_call};
use tikv_jemallocator::Jemalloc;

static SYSTEM: Heap = Heap::new();
static JEMALLOC: Heap<Jemalloc> = Heap::with(Jemalloc);
static MIMALLOC: Heap<MiMalloc> = Heap::with(MiMalloc);
static PEAK: Heap = Heap::new().with_peak();

fn main() {
    println!("medians of {ROUNDS} interleaved rounds\n");
    println!("| an allocation of 64 B and its release | threads | bare | counted | more |");
    println!("| --- | --- | --- | --- | --- |");
    compare("System", &System, &SYSTEM);
    compare("jemalloc", &Jemalloc, &JEMALLOC);
    compare("mimalloc", &MiMalloc, &MIMALLOC);
    compare("System, with peak", &System, &PEAK);

    let [read] = interleave([&mut || {
        per_call(10_000, || {
            black_box(heap::allocated());
        })
    }]);
    println!("\nreading the heap: {read:.1} ns\n");

    println!("| 100 threads, half of their blocks freed by others | bytes of error |");
    println!("| --- | --- |");
    println!("| System | {} |", error(&SYSTEM));
    println!("| jemalloc | {} |", error(&JEMALLOC));
    println!("| mimalloc | {} |", error(&MIMALLOC));
}

fn compare<A: GlobalAlloc + Sync>(name: &str, bare: &A, counted: &Heap<A>)
where
    Heap<A>: Sync,
{
    for threads in [1, 2] {
        let [alone, with_heap] = interleave([&mut || pairs(bare, threads), &mut || {
            pairs(counted, threads)
        }]);
        println!(
            "| {name} | {threads} | {alone:.1} ns | {with_heap:.1} ns | {:.1} ns |",
            with_heap - alone
        );
    }
}

/// Nanoseconds for an allocation and its release, with so many threads at it at once.
fn pairs(allocator: &(impl GlobalAlloc + Sync), threads: usize) -> f64 {
    let layout = Layout::new::<[u64; 8]>();
    let start = Barrier::new(threads);
    let work = || {
        start.wait();
        per_call(20_000, || {
            // SAFETY: the size is not zero, and the block is released once, by its allocator, with its layout.
            unsafe {
                let block = black_box(allocator.alloc(layout));
                block.write(1);
                allocator.dealloc(black_box(block), layout);
            }
        })
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let ours = work();
        others
            .into_iter()
            .map(|other| other.join().unwrap())
            .fold(ours, f64::max)
    })
}

/// A block and its size, on the way to whichever thread releases it.
struct Block(*mut u8, usize);

// SAFETY: a block belongs to whoever holds it, and allocators take blocks back on any thread.
unsafe impl Send for Block {}

/// How far the count is off after 100 threads have allocated, grown and released blocks, and have ended. Nothing else
/// in the process is counted, so the truth is known.
fn error(allocator: &(impl GlobalAlloc + Sync)) -> i64 {
    let layout = |size| Layout::from_size_align(size, 8).expect("a size of some kilobytes");
    let before = heap::allocated().expect("a Heap has counted before");
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    thread::scope(|scope| {
        for seed in 0..100_usize {
            let sender = sender.clone();
            let receiver = &receiver;
            scope.spawn(move || {
                for i in 0..2000 {
                    let size = 8 + (seed * 7919 + i * 104_729) % 5000;
                    // SAFETY: sizes are not zero, and each block has one holder, who uses the layout it has at the time.
                    unsafe {
                        let block = allocator.alloc(layout(size));
                        let block = allocator.realloc(block, layout(size), size + seed);
                        let block = Block(block, size + seed);
                        if i % 2 == 0 {
                            sender
                                .send(block)
                                .expect("the receiver outlives the threads");
                        } else {
                            allocator.dealloc(block.0, layout(block.1));
                        }
                    }
                }
                for _ in 0..1000 {
                    let Block(block, size) = receiver
                        .lock()
                        .expect("no thread panics")
                        .recv()
                        .expect("as many were sent as are taken");
                    // SAFETY: this thread is the block's holder now.
                    unsafe { allocator.dealloc(block, layout(size)) };
                }
            });
        }
    });
    heap::allocated().expect("a Heap has counted").cast_signed() - before.cast_signed()
}
