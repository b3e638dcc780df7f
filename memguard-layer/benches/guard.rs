//! What the counting heap costs per allocation, and the guard per request: `cargo bench -p memguard-layer`.
//!
//! The variants take turns in short rounds, so that a busy machine disturbs all of them alike; the median round counts.

#![allow(clippy::disallowed_types, reason = "a benchmark measures real time")]
#![expect(
    unsafe_code,
    reason = "allocators are called directly, to compare two in one process"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    sync::Barrier,
    task::{Context, Poll, Waker},
    thread,
    time::Instant,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Empty, Full};
use memguard_layer::{Heap, MemGuardLayer, heap};
use tower::{Layer, Service, service_fn};

/// The process's allocator: the counting heap, and how often this thread called it.
struct Calls(Heap);

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed on as it is; counting does not allocate.
unsafe impl GlobalAlloc for Calls {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's contract is ours.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is ours.
        unsafe { self.0.dealloc(block, layout) }
    }
}

#[global_allocator]
static GLOBAL: Calls = Calls(Heap::new());

static COUNTED: Heap = Heap::new();
static BARE: System = System;

const ROUNDS: usize = 301;

fn main() {
    println!("medians of {ROUNDS} interleaved rounds\n");
    println!("| one allocation and its release, 64 B | System | Heap over System | more | ratio |");
    println!("| --- | --- | --- | --- | --- |");
    for threads in [1, 2] {
        let [bare, counted] = interleave([&mut || pairs(&BARE, threads), &mut || {
            pairs(&COUNTED, threads)
        }]);
        let (more, ratio) = (counted - bare, counted / bare);
        println!(
            "| threads: {threads} | {bare:.1} ns | {counted:.1} ns | {more:.1} ns | {ratio:.2} |"
        );
    }
    let [read] = interleave([&mut || {
        per_call(10_000, || {
            black_box(heap::allocated());
        })
    }]);
    println!("\nreading the heap: {read:.1} ns\n");

    println!("| one request through | service alone | guarded | more | allocations more |");
    println!("| --- | --- | --- | --- | --- |");
    compare("no body", || Request::new(Empty::new()));
    compare("1 KiB with a length", || {
        Request::new(Full::new(Bytes::from_static(&[0; 1024])))
    });
}

/// Medians of what each variant reports, taking turns.
fn interleave<const N: usize>(mut variants: [&mut dyn FnMut() -> f64; N]) -> [f64; N] {
    let mut rounds = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (variant, rounds) in variants.iter_mut().zip(&mut rounds) {
            rounds.push(variant());
        }
    }
    rounds.map(|mut rounds| {
        rounds.sort_by(f64::total_cmp);
        rounds[ROUNDS / 2]
    })
}

fn per_call(calls: u32, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..calls).for_each(|_| call());
    start.elapsed().as_nanos() as f64 / f64::from(calls)
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

fn answer<B>(_: Request<B>) -> Ready<Result<Response<Empty<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Empty::new())))
}

/// One request through a service that answers at once, alone and behind a guard.
fn compare<B>(name: &str, request: impl Fn() -> Request<B>)
where
    B: Body<Data = Bytes, Error = Infallible>,
{
    let layer = MemGuardLayer::new(1 << 30).exempt(|parts| parts.uri.path() == "/healthz");
    let mut alone = service_fn(answer::<B>);
    let mut guarded = layer.layer(service_fn(answer));
    let allocations = |call: &mut dyn FnMut()| {
        let before = CALLS.get();
        call();
        CALLS.get() - before
    };
    let more = allocations(&mut || once(&mut guarded, request()))
        - allocations(&mut || once(&mut alone, request()));
    let [bare, with_guard] = interleave([
        &mut || per_call(10_000, || once(&mut alone, black_box(request()))),
        &mut || per_call(10_000, || once(&mut guarded, black_box(request()))),
    ]);
    println!(
        "| {name} | {bare:.1} ns | {with_guard:.1} ns | {:.1} ns | {more} |",
        with_guard - bare
    );
    assert_eq!(layer.handle().reserved(), 0);
}

fn once<R, S: Service<R, Error = Infallible>>(service: &mut S, request: R) {
    let response = pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(black_box(response), Poll::Ready(Ok(_))));
}
