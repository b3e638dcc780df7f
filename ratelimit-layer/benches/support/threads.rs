//! One check, asked by one thread or more as fast as they can.

use super::{cpu, heap};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// How long to measure: many short rounds, in most of which the machine does as it always does.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: u64,
    pub round: Duration,
}

impl Effort {
    pub fn new(quick: bool) -> Self {
        Self {
            rounds: if quick { 101 } else { 501 },
            round: Duration::from_millis(3),
        }
    }

    /// As short as can be.
    pub fn test() -> Self {
        Self {
            rounds: 1,
            round: Duration::from_millis(1),
        }
    }
}

/// What one check costs a thread, of its time on the processor.
#[derive(Clone, Copy)]
pub struct Cost {
    pub nanoseconds: f64,
    pub allocations: f64,
}

/// Who asks for what, for how long.
#[derive(Clone, Copy)]
pub struct Load {
    pub keys: u64,
    pub threads: u64,
    pub time: Duration,
    /// The answer that all checks get, so that one kind is measured at a time.
    pub answer: bool,
}

impl Load {
    pub fn cost(self, check: &(impl Fn(u64) -> bool + Sync)) -> Cost {
        let (start, end) = (
            Barrier::new(self.threads as usize),
            Barrier::new(self.threads as usize),
        );
        let costs: Vec<Cost> = std::thread::scope(|scope| {
            let worker = |thread| {
                let (start, end) = (&start, &end);
                move || {
                    let mut keys = Keys::new(thread, self.keys);
                    // Untimed, until the processor has forgotten the check before.
                    self.ask(check, &mut keys, self.time / 4);
                    start.wait();
                    let (began, before) = (cpu::time(), heap::allocations());
                    let checks = self.ask(check, &mut keys, self.time) as f64;
                    let (spent, allocated) = (cpu::time() - began, heap::allocations() - before);
                    end.wait();
                    Cost {
                        nanoseconds: spent.as_nanos() as f64 / checks,
                        allocations: allocated as f64 / checks,
                    }
                }
            };
            let workers: Vec<_> = (0..self.threads)
                .map(|thread| scope.spawn(worker(thread)))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .collect()
        });
        let mean =
            |figure: fn(&Cost) -> f64| costs.iter().map(figure).sum::<f64>() / self.threads as f64;
        Cost {
            nanoseconds: mean(|cost| cost.nanoseconds),
            allocations: mean(|cost| cost.allocations),
        }
    }

    /// How many checks fit into the time.
    fn ask(self, check: &impl Fn(u64) -> bool, keys: &mut Keys, time: Duration) -> u64 {
        let (began, mut checks, mut others) = (Instant::now(), 0, 0);
        while began.elapsed() < time {
            for _ in 0..1_000 {
                others += u64::from(check(keys.next()) != self.answer);
            }
            checks += 1_000;
        }
        // A full table has sets too full for all of their clients.
        assert!(others * 100 <= checks, "all checks get the same answer");
        checks
    }
}

/// Keys far from the ones before, each as often as any other, at the cost of an addition and a
/// multiplication: steps of the golden section (Weyl's sequence).
struct Keys {
    step: u64,
    keys: u64,
}

impl Keys {
    fn new(thread: u64, keys: u64) -> Self {
        let step = thread.wrapping_mul(0xd1b5_4a32_d192_ed03);
        Self { step, keys }
    }

    fn next(&mut self) -> u64 {
        self.step = self.step.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ((u128::from(self.step) * u128::from(self.keys)) >> 64) as u64
    }
}
