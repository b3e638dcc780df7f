//! A service with a fixed capacity, whose latency rises with what is beyond it.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// What a service is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// Requests that are worked on at once; others queue, first come, first served.
    pub(super) servers: usize,
    /// Mean time to work on one.
    pub(super) time: Duration,
    /// By what part of the mean that time differs at most, evenly spread.
    pub(super) jitter: f64,
    /// Requests that may queue; others are answered 503. `None`: as many as come.
    pub(super) queue: Option<usize>,
}

/// A queue with many servers, computed on arrival: the request begins when the first server is free.
///
/// Like a real service it goes on working on what nobody waits for any more.
#[derive(Debug, Clone)]
pub(super) struct Origin(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    kind: Kind,
    /// When each server is free.
    free: BinaryHeap<Reverse<Instant>>,
    random: Random,
}

impl Origin {
    pub(super) fn new(kind: Kind, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            kind,
            free: vec![Reverse(Instant::now()); kind.servers].into(),
            random: Random(seed),
        })))
    }

    /// From now on the service is like this.
    pub(super) fn become_(&self, kind: Kind) {
        let mut state = self.0.lock().unwrap();
        // Those that are free soonest go.
        while state.free.len() > kind.servers {
            state.free.pop();
        }
        while state.free.len() < kind.servers {
            state.free.push(Reverse(Instant::now()));
        }
        state.kind = kind;
    }

    pub(super) async fn answer(self, _: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
        let end = self.0.lock().unwrap().admit(Instant::now());
        let mut response = Response::new(Full::default());
        match end {
            Some(end) => sleep_until(end).await,
            None => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
        }
        Ok(response)
    }
}

impl State {
    /// When the request will be done; `None`: there is no room for it.
    fn admit(&mut self, now: Instant) -> Option<Instant> {
        let Reverse(first_free) = *self.free.peek()?;
        let begin = first_free.max(now);
        if let Some(queue) = self.kind.queue {
            // With every server busy, one is done every `time / servers`.
            let one = self.kind.time / self.kind.servers as u32;
            if begin - now > one * queue as u32 {
                return None;
            }
        }
        let spread = 1.0 + self.kind.jitter * (2.0 * self.random.fraction() - 1.0);
        let end = begin + self.kind.time.mul_f64(spread);
        self.free.pop();
        self.free.push(Reverse(end));
        Some(end)
    }
}

/// SplitMix64.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    /// 0 to 1, never 1.
    pub(super) fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
