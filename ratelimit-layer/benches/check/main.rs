//! What a check and a whole layer cost.
//!
//! `cargo bench -p ratelimit-layer --bench check [-- --quick]` prints, from one run,
//! - a check beside `governor`'s keyed (DashMap) check, both with their default clocks, at 1, 10 k
//!   and 1 M keys and with one and two threads, in turns, as medians;
//! - both layers on a service that does nothing, and the rate limit with each kind of key;
//! - the allocations of each, counted.

// A benchmark measures real time, and counting allocations takes a global allocator.
#![allow(clippy::disallowed_types, unsafe_code)]

mod checks;
mod layers;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

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
    checks::checks(effort);
    layers::layers(effort);
    layers::keys(effort);
}

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
