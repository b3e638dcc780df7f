//! Services on the same requests in turns, timed and their allocations counted.

use super::{call, heap};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use std::time::Instant;
use tower::Service;

pub struct Case<'a> {
    name: &'a str,
    call: Box<dyn FnMut(&Uri) + 'a>,
    /// Of each round, per call.
    nanoseconds: Vec<f64>,
    allocations: f64,
}

impl<'a> Case<'a> {
    pub fn new(name: &'a str, call: impl FnMut(&Uri) + 'a) -> Self {
        Self {
            name,
            call: Box::new(call),
            nanoseconds: Vec::new(),
            allocations: 0.0,
        }
    }

    pub fn service<S: Service<Request<Full<Bytes>>>>(name: &'a str, service: &'a mut S) -> Self {
        Self::new(name, |uri| call(service, uri))
    }

    /// The median of the rounds' ratios.
    pub fn ratio(&self, other: &Self) -> f64 {
        let each = self.nanoseconds.iter().zip(&other.nanoseconds);
        median(each.map(|(one, other)| one / other).collect())
    }
}

/// Runs all cases in short slices, in turns, so that a neighbour on the machine slows all of a round
/// alike; prints a table.
pub fn compare(cases: &mut [Case<'_>], uris: &[Uri], rounds: usize) {
    // Not in the order in which they were stored: nobody asks in that one.
    let asked = || (0..uris.len()).map(|n| &uris[n * 7 % uris.len()]);
    for _ in 0..rounds {
        for case in cases.iter_mut() {
            // Untimed, until the processor has forgotten what the case before it has left there.
            (0..4).for_each(|_| asked().for_each(&mut case.call));
            let (before, start) = (heap::allocations(), Instant::now());
            asked().for_each(&mut case.call);
            let each = |sum: u64| sum as f64 / uris.len() as f64;
            case.nanoseconds
                .push(each(start.elapsed().as_nanos() as u64));
            case.allocations = each(heap::allocations() - before);
        }
    }
    let keys = uris.len();
    println!("| {rounds} rounds of {keys} keys, in turns | median ns | allocations |");
    println!("| --- | ---: | ---: |");
    for case in cases {
        let nanoseconds = median(case.nanoseconds.clone());
        println!(
            "| {} | {nanoseconds:.0} | {:.2} |",
            case.name, case.allocations
        );
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
