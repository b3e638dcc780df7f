//! How near the limit comes to the best constant one, and how fast; on a paused clock.
//!
//! The best constant limit is found by trying: the lowest that gets 99 % of the most answers in time.
//! What is more queues at the service and answers nobody sooner.

use super::origin::Kind;
use super::traffic::{Arrivals, run};
use ratelimit_layer::{Adaptive, Aimd, ConcurrencyLimitLayer};
use std::time::Duration;

/// 100 at once for 100 ms each.
const WHOLE: Kind = Kind {
    servers: 100,
    time: Duration::from_millis(100),
    jitter: 0.3,
    queue: None,
};

const HALF: Kind = Kind {
    servers: 50,
    ..WHOLE
};

/// After twice the time of a request without a queue nobody waits any more.
const DEADLINE: Duration = Duration::from_millis(200);

const CLOSED: Arrivals = Arrivals::Closed(200);
/// One and a half times what the service can do, when whole.
const OPEN: Arrivals = Arrivals::Open(1_500.0);

/// Seconds for the limit to settle, and to be looked at afterwards.
const SETTLE: usize = 10;
const LOOK: usize = 4;

fn constant(limit: usize) -> ConcurrencyLimitLayer {
    ConcurrencyLimitLayer::new(usize::MAX).max_total(limit)
}

fn adaptive(adaptive: impl Into<Adaptive>) -> ConcurrencyLimitLayer {
    ConcurrencyLimitLayer::new(usize::MAX).adaptive(adaptive.into())
}

/// A service for a while, and the best there is for it.
#[derive(Debug, Clone, Copy)]
struct Stage {
    kind: Kind,
    /// The best constant limit.
    limit: f64,
    /// The most answers in time, per second.
    goodput: f64,
}

async fn stage(kind: Kind, arrivals: Arrivals) -> Stage {
    let mut tried = Vec::new();
    for percent in [70, 80, 90, 95, 100, 102, 105, 110, 120, 140] {
        let limit = kind.servers * percent / 100;
        let run = run(constant(limit), &[kind], 3, arrivals, DEADLINE).await;
        tried.push((limit as f64, run.goodput(1..3)));
    }
    let goodput = tried.iter().map(|tried| tried.1).fold(0.0, f64::max);
    let best = tried.iter().find(|tried| tried.1 >= 0.99 * goodput);
    Stage {
        kind,
        limit: best.unwrap().0,
        goodput,
    }
}

/// What is asked of a limit: within 10 s of the beginning, and again of the loss of half the
/// capacity, it is within 15 % of the best constant one and stays there, and gets 0.9 of the answers
/// in time.
async fn shortcomings(
    layer: ConcurrencyLimitLayer,
    stages: [Stage; 2],
    arrivals: Arrivals,
) -> Vec<String> {
    let kinds = stages.map(|stage| stage.kind);
    let run = run(layer, &kinds, (SETTLE + LOOK) as u64, arrivals, DEADLINE).await;
    let mut shortcomings = Vec::new();
    for (index, best) in stages.iter().enumerate() {
        let end = (SETTLE + LOOK) * (index + 1);
        let limits = &run.limits[10 * (end - LOOK)..10 * end];
        let low = limits.iter().copied().fold(f64::MAX, f64::min);
        let high = limits.iter().copied().fold(0.0, f64::max);
        let goodput = run.goodput(end - LOOK..end);
        let found = format!(
            "{} servers: limit {low} to {high}, best {}; {goodput:.0}/s in time, best {:.0}/s",
            best.kind.servers, best.limit, best.goodput
        );
        println!("{arrivals:?}, {found}");
        let near = low >= 0.85 * best.limit && high <= 1.15 * best.limit;
        if !near || goodput < 0.9 * best.goodput {
            shortcomings.push(found);
        }
    }
    shortcomings
}

async fn stages(kinds: [Kind; 2], arrivals: Arrivals) -> [Stage; 2] {
    [
        stage(kinds[0], arrivals).await,
        stage(kinds[1], arrivals).await,
    ]
}

/// All three on a service that says nothing of its load; AIMD has a time-out to go by.
async fn all_settle(arrivals: Arrivals) {
    let stages = stages([WHOLE, HALF], arrivals).await;
    let timeout = Duration::from_millis(140);
    for limit in [
        Adaptive::gradient2(),
        Adaptive::vegas(),
        Aimd::new().timeout(timeout).into(),
    ] {
        println!("{limit:?}");
        let shortcomings = shortcomings(adaptive(limit), stages, arrivals).await;
        assert_eq!(shortcomings, [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_wait_for_their_answers() {
    all_settle(CLOSED).await;
}

#[tokio::test(start_paused = true)]
async fn clients_that_come_whatever_happens() {
    all_settle(OPEN).await;
}

/// The other thing that AIMD can go by: a service with little room for a queue, which refuses.
#[tokio::test(start_paused = true)]
async fn aimd_on_a_service_that_refuses() {
    let refusing = |kind: Kind| Kind {
        queue: Some(kind.servers / 20),
        ..kind
    };
    let stages = stages([refusing(WHOLE), refusing(HALF)], OPEN).await;
    let shortcomings = shortcomings(adaptive(Adaptive::aimd()), stages, OPEN).await;
    assert_eq!(shortcomings, [""; 0]);
}

/// The same is asked of constant limits, and only the best one of the time answers it.
#[tokio::test(start_paused = true)]
async fn no_constant_limit_will_do() {
    let [whole, half] = stages([WHOLE, HALF], CLOSED).await;
    for limit in [20, half.limit as usize, 70, whole.limit as usize, 1_000] {
        let shortcomings = shortcomings(constant(limit), [whole, half], CLOSED).await;
        assert!(!shortcomings.is_empty(), "{limit}");
    }
    // Which is no fault of the question: where nothing changes, the best one passes.
    let best = constant(whole.limit as usize);
    assert_eq!(shortcomings(best, [whole, whole], CLOSED).await, [""; 0]);
}
