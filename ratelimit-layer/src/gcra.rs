//! The generic cell rate algorithm over one word of state, as a pure function.
//!
//! A client's state is its *theoretical arrival time* (TAT): the moment at which its bucket is full
//! again. A unit moves it `interval` later; a request is refused when that would carry it further
//! than `depth` past now. A TAT in the past means a full bucket, whatever its exact value.
//! (ITU-T I.371, annex A, in its virtual scheduling form.)

/// A quota in the algorithm's terms, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// Time one unit costs.
    interval: u64,
    /// Time a whole burst costs: the depth of the bucket.
    depth: u64,
}

/// What one check comes to; times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The arrival time to keep if the request is allowed, `None` if it is refused.
    pub(crate) tat: Option<u64>,
    /// How long until the same request would be allowed; 0 if it is.
    pub(crate) wait: u64,
    /// What is left in the bucket afterwards, as time.
    pub(crate) room: u64,
    /// How long until the bucket is full.
    pub(crate) full_in: u64,
}

impl Gcra {
    pub(crate) fn new(interval: u64, burst: u32) -> Self {
        Self {
            interval,
            depth: interval.saturating_mul(u64::from(burst)),
        }
    }

    pub(crate) fn interval(self) -> u64 {
        self.interval
    }

    pub(crate) fn depth(self) -> u64 {
        self.depth
    }

    /// May `cost` units go now, given the client's arrival time? Never overflows: sums saturate,
    /// and a cost above the burst is refused for ever.
    #[inline]
    pub(crate) fn decide(self, tat: u64, now: u64, cost: u32) -> Verdict {
        let start = tat.max(now);
        let price = self.interval.saturating_mul(u64::from(cost));
        let debt = start - now;
        let after = debt.saturating_add(price);
        if after <= self.depth {
            let tat = Some(now.saturating_add(after));
            Verdict {
                tat,
                wait: 0,
                room: self.depth - after,
                full_in: after,
            }
        } else {
            Verdict {
                tat: None,
                wait: if price > self.depth {
                    u64::MAX
                } else {
                    after - self.depth
                },
                room: self.depth.saturating_sub(debt),
                full_in: debt,
            }
        }
    }
}
