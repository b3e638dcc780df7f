//! Clients of a service with a limit, and what they get.

use super::origin::{Kind, Origin, Random};
use crate::support::request;
use ratelimit_layer::ConcurrencyLimitLayer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tower::{Layer, ServiceExt, service_fn};

/// How requests come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arrivals {
    /// So many clients, each with one request after the other; one that is refused rests for 20 ms.
    Closed(usize),
    /// So many a second on average, at random, whatever becomes of them.
    Open(f64),
}

/// What came of some seconds.
#[derive(Debug)]
pub(super) struct Run {
    /// The limit, every 100 ms.
    pub(super) limits: Vec<f64>,
    /// Answers in time, per second.
    pub(super) good: Vec<u64>,
    /// Requests refused, from the beginning to each second.
    pub(super) refused: Vec<u64>,
}

impl Run {
    /// Mean of the answers in time in these seconds.
    pub(super) fn goodput(&self, seconds: std::ops::Range<usize>) -> f64 {
        let length = seconds.len() as f64;
        self.good[seconds].iter().sum::<u64>() as f64 / length
    }
}

/// A layer's limit on a service that is of each of the kinds for a while.
pub(super) async fn run(
    layer: ConcurrencyLimitLayer,
    kinds: &[Kind],
    each: u64,
    arrivals: Arrivals,
    deadline: Duration,
) -> Run {
    let origin = Origin::new(kinds[0], 1);
    let handle = layer.handle();
    let service = {
        let origin = origin.clone();
        layer.layer(service_fn(move |request| origin.clone().answer(request)))
    };
    let good = Arc::new(AtomicU64::new(0));
    let ask = {
        let good = Arc::clone(&good);
        move |client: usize| {
            let (service, good) = (service.clone(), Arc::clone(&good));
            async move {
                let began = Instant::now();
                let Ok(response) = service.oneshot(request(client as u8)).await;
                let in_time = response.status() == 200 && began.elapsed() <= deadline;
                good.fetch_add(u64::from(in_time), Relaxed);
                response.status() == 200
            }
        }
    };
    let mut clients = tokio::task::JoinSet::new();
    match arrivals {
        Arrivals::Closed(n) => {
            for client in 0..n {
                let ask = ask.clone();
                clients.spawn(async move {
                    loop {
                        if !ask(client).await {
                            sleep(Duration::from_millis(20)).await;
                        }
                    }
                });
            }
        }
        Arrivals::Open(rate) => {
            clients.spawn(async move {
                let (mut random, mut next) = (Random(2), Instant::now());
                let mut requests = tokio::task::JoinSet::new();
                for client in 0.. {
                    next += Duration::from_secs_f64(-(1.0 - random.fraction()).ln() / rate);
                    sleep_until(next).await;
                    requests.spawn(ask(client));
                    while requests.try_join_next().is_some() {}
                }
            });
        }
    }
    let mut run = Run {
        limits: Vec::new(),
        good: Vec::new(),
        refused: Vec::new(),
    };
    let mut tick = Instant::now();
    for (index, kind) in kinds.iter().enumerate() {
        if index > 0 {
            origin.become_(*kind);
        }
        for tenth in 1..=10 * each {
            tick += Duration::from_millis(100);
            sleep_until(tick).await;
            let stats = handle.stats();
            let limit = stats.adaptive_limit.or(stats.max_total).unwrap();
            run.limits.push(limit as f64);
            if tenth % 10 == 0 {
                run.good.push(good.swap(0, Relaxed));
                run.refused.push(stats.refused);
            }
        }
    }
    run
}
