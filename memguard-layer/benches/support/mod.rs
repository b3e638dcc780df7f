//! How the benchmarks measure: variants take turns in short rounds, so that a busy machine disturbs all of them alike, and
//! the median round counts.

use rustix::time::{ClockId, clock_gettime};

pub(crate) const ROUNDS: usize = 301;

/// Medians of what each variant reports, taking turns.
pub(crate) fn interleave<const N: usize>(mut variants: [&mut dyn FnMut() -> f64; N]) -> [f64; N] {
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

/// Nanoseconds per call, of this thread's processor time: on a busy machine the others' turns do not count.
pub(crate) fn per_call(calls: u32, mut call: impl FnMut()) -> f64 {
    let start = clock_gettime(ClockId::ThreadCPUTime);
    (0..calls).for_each(|_| call());
    let end = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = (end.tv_sec - start.tv_sec) * 1_000_000_000 + end.tv_nsec - start.tv_nsec;
    nanos as f64 / f64::from(calls)
}
