//! What the guard costs per request: `cargo bench -p memguard-layer --bench guard`.

#![expect(
    unsafe_code,
    reason = "an allocator that counts how often it is called"
)]

mod support;

use std::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Empty, Full};
use memguard_layer::{Heap, MemGuardLayer};
use support::{ROUNDS, interleave, per_call};
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

fn main() {
    println!("medians of {ROUNDS} interleaved rounds\n");
    println!("| one request through | service alone | guarded | more | allocations more |");
    println!("| --- | --- | --- | --- | --- |");
    compare("no body", || Request::new(Empty::new()));
    compare("1 KiB with a length", || {
        Request::new(Full::new(Bytes::from_static(&[0; 1024])))
    });
}

/// Not inlined, as no real service is: what it drops and makes costs the same behind a guard and without one.
#[inline(never)]
fn answer<B>(_: Request<B>) -> Ready<Result<Response<Empty<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Empty::new())))
}

/// One request through a service that answers at once, alone and behind a guard.
fn compare<B>(name: &str, request: impl Fn() -> Request<B>)
where
    B: Body<Data = Bytes, Error = Infallible>,
{
    let layer = MemGuardLayer::new(1 << 30).exempt(|head| head.uri.path() == "/healthz");
    let mut alone = service_fn(answer::<B>);
    let mut guarded = layer.layer(service_fn(answer));
    let allocations = |call: &mut dyn FnMut()| {
        let before = CALLS.get();
        call();
        CALLS.get() - before
    };
    // The first request settles what memory is measured by.
    once(&mut guarded, request());
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
