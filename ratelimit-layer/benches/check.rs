//! What a check and a whole layer cost.
//!
//! `cargo bench -p ratelimit-layer --bench check [-- --quick]` prints, from one run,
//! - a check beside `governor`'s keyed (DashMap) check, both with their default clocks, at 1, 10 k
//!   and 1 M keys and with one and two threads, in turns, as medians;
//! - both layers on a service that does nothing;
//! - the allocations of each, counted.

// A benchmark measures real time, and counting allocations takes a global allocator.
#![allow(clippy::disallowed_types, unsafe_code)]

use bytes::Bytes;
use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::Empty;
use ratelimit_layer::{ConcurrencyLimitLayer, Quota, RateLimitLayer, RateLimiter};
use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tower::{Layer, Service, service_fn};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How long to measure: many rounds shorter than a scheduler's slice, so that the median is one in
/// which nobody else ran.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    round: Duration,
}

fn main() {
    let asked = |flag| std::env::args().any(|argument| argument == flag);
    // Without cargo bench's own flag this is a test run, which shows that it works.
    let effort = match (asked("--bench"), asked("--quick")) {
        (false, _) => Effort {
            rounds: 1,
            round: Duration::from_millis(1),
        },
        (true, true) => Effort {
            rounds: 60,
            round: Duration::from_millis(3),
        },
        (true, false) => Effort {
            rounds: 500,
            round: Duration::from_millis(3),
        },
    };
    checks(effort);
    layers(effort);
}

// --- A check ------------------------------------------------------------------------------------

type Governor = governor::RateLimiter<u64, DashMapStateStore<u64>, DefaultClock>;

fn checks(effort: Effort) {
    println!(
        "A check, ns (median of {} rounds); allocations per check of a known client\n",
        effort.rounds
    );
    println!("|      keys | threads | ratelimit-layer | governor keyed | ratio | allocations |");
    println!("| --------: | ------: | --------------: | -------------: | ----: | ----------: |");
    for keys in [1_u64, 10_000, 1_000_000] {
        // So wide that nothing is refused: a refusal is cheaper.
        let (rate, burst) = (1_000_000, 1_000_000_000);
        // The default table, or one for twice the clients.
        let slots = (2 * keys as usize).max(65_536);
        let ours = RateLimiter::new(Quota::per_second(rate).burst(burst)).max_clients(slots);
        let quota = governor::Quota::per_second(NonZeroU32::new(rate).unwrap());
        let theirs = Governor::dashmap(quota.allow_burst(NonZeroU32::new(burst).unwrap()));
        let (ours, theirs) = (
            |key: u64| ours.check(&key).is_allowed(),
            |key: u64| theirs.check_key(&key).is_ok(),
        );
        for key in 0..keys {
            assert!(ours(mix(key)) && theirs(mix(key)));
        }
        for threads in [1, 2] {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            let mut allocations = 0.0;
            for round in 0..effort.rounds as u64 {
                let (cost, allocated) = run(&ours, keys, threads, round, effort.round);
                a.push(cost);
                allocations = allocated;
                b.push(run(&theirs, keys, threads, round, effort.round).0);
            }
            let (a, b) = (median(a), median(b));
            println!(
                "| {keys:>9} | {threads:>7} | {a:>15.1} | {b:>14.1} | {:>5.2} | {allocations:>11.4} |",
                a / b
            );
        }
    }
}

/// Nanoseconds each thread spends on one check, and allocations per check.
fn run(
    check: &(impl Fn(u64) -> bool + Sync),
    keys: u64,
    threads: u64,
    seed: u64,
    time: Duration,
) -> (f64, f64) {
    let (start, end) = (
        Barrier::new(threads as usize),
        Barrier::new(threads as usize),
    );
    let results: Vec<(f64, f64)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (start, end) = (&start, &end);
                scope.spawn(move || {
                    let mut random = mix(seed * threads + thread + 1) | 1;
                    start.wait();
                    let (began, before) = (Instant::now(), ALLOCATIONS.load(Relaxed));
                    let (mut checks, mut refused) = (0_u64, 0_u64);
                    while began.elapsed() < time {
                        for _ in 0..1_000 {
                            random ^= random << 13;
                            random ^= random >> 7;
                            random ^= random << 17;
                            let key = ((u128::from(random) * u128::from(keys)) >> 64) as u64;
                            refused += u64::from(!check(mix(key)));
                        }
                        checks += 1_000;
                    }
                    let spent = began.elapsed();
                    let allocated = ALLOCATIONS.load(Relaxed) - before;
                    end.wait();
                    assert_eq!(refused, 0, "the quota is so wide that nothing is refused");
                    (
                        spent.as_nanos() as f64 / checks as f64,
                        allocated as f64 / checks as f64,
                    )
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let mean =
        |values: fn(&(f64, f64)) -> f64| results.iter().map(values).sum::<f64>() / threads as f64;
    (mean(|result| result.0), mean(|result| result.1))
}

// --- A layer ------------------------------------------------------------------------------------

type Inner = Response<Empty<Bytes>>;

/// A stack by name, as a function from client to status.
type Arm = (&'static str, Box<dyn FnMut(u32) -> u16>);

fn answer(_: Request<()>) -> Ready<Result<Inner, Infallible>> {
    ready(Ok(Response::new(Empty::new())))
}

fn layers(effort: Effort) {
    println!(
        "\nA request through a layer around a service that does nothing, 10,000 clients, ns (median)\n"
    );
    println!("| layer                              |     ns | over none | allocations |");
    println!("| ---------------------------------- | -----: | --------: | ----------: |");
    let wide = Quota::per_second(1_000_000).burst(1_000_000_000);
    let narrow = Quota::per_hour(1);
    let mut none = service_fn(answer);
    let mut allowed = RateLimitLayer::new(wide).layer(service_fn(answer));
    let mut bare = RateLimitLayer::new(wide)
        .fields(false)
        .layer(service_fn(answer));
    let mut refused = RateLimitLayer::new(narrow).layer(service_fn(answer));
    let mut refused_grpc = RateLimitLayer::new(narrow).layer(service_fn(answer));
    let mut concurrent = ConcurrencyLimitLayer::new(10).layer(service_fn(answer));
    let full = ConcurrencyLimitLayer::new(1).max_total(1);
    let mut full_service = full.layer(service_fn(|_| {
        ready(Ok::<_, Infallible>(Response::new(Unending)))
    }));
    let held = now(full_service.call(request(1)));
    let mut arms: Vec<Arm> = vec![
        ("none", Box::new(move |client| status(&mut none, client))),
        (
            "rate limit, allowed",
            Box::new(move |client| status(&mut allowed, client)),
        ),
        (
            "rate limit, allowed, no fields",
            Box::new(move |client| status(&mut bare, client)),
        ),
        (
            "rate limit, refused",
            Box::new(move |client| status(&mut refused, client)),
        ),
        (
            "rate limit, refused, gRPC",
            Box::new(move |client| {
                let mut request = request(client);
                let grpc = HeaderValue::from_static("application/grpc");
                request.headers_mut().insert(CONTENT_TYPE, grpc);
                now(refused_grpc.call(request)).status().as_u16()
            }),
        ),
        (
            "concurrency limit, admitted",
            Box::new(move |client| status(&mut concurrent, client)),
        ),
        (
            "concurrency limit, refused",
            Box::new(move |client| status(&mut full_service, client)),
        ),
    ];
    for (_, arm) in &mut arms {
        (0..10_000).for_each(|client| assert!(black_box(arm(client)) >= 200));
    }
    let mut costs = vec![Vec::new(); arms.len()];
    let mut allocations = vec![0.0; arms.len()];
    for _ in 0..effort.rounds {
        for (index, (_, arm)) in arms.iter_mut().enumerate() {
            let (began, before) = (Instant::now(), ALLOCATIONS.load(Relaxed));
            let mut requests = 0_u32;
            while began.elapsed() < effort.round {
                for _ in 0..500 {
                    black_box(arm(mix(u64::from(requests)) as u32 % 10_000));
                    requests += 1;
                }
            }
            costs[index].push(began.elapsed().as_nanos() as f64 / f64::from(requests));
            allocations[index] = (ALLOCATIONS.load(Relaxed) - before) as f64 / f64::from(requests);
        }
    }
    let costs: Vec<f64> = costs.into_iter().map(median).collect();
    for (index, (name, _)) in arms.iter().enumerate() {
        println!(
            "| {name:<34} | {:>6.0} | {:>9.0} | {:>11.2} |",
            costs[index],
            costs[index] - costs[0],
            allocations[index]
        );
    }
    drop(held);
}

fn request(client: u32) -> Request<()> {
    let mut request = Request::new(());
    request
        .extensions_mut()
        .insert(SocketAddr::from((Ipv4Addr::from_bits(client), 80)));
    request
}

fn status<S, B>(service: &mut S, client: u32) -> u16
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    now(service.call(request(client))).status().as_u16()
}

fn now<T>(future: impl Future<Output = Result<T, Infallible>>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(value)) => value,
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => unreachable!("the service answers at once"),
    }
}

/// A body that is never over, so that its permit stays out.
struct Unending;

impl http_body::Body for Unending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

// --- Numbers ------------------------------------------------------------------------------------

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// SplitMix64: spreads consecutive numbers.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
