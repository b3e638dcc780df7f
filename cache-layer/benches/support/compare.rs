//! Calls on the same items in turns, timed and their allocations counted.

use super::{cpu, heap};

pub struct Case<'a, T> {
    pub name: &'a str,
    call: Box<dyn FnMut(&T) + 'a>,
    /// Of each round, per call.
    nanoseconds: Vec<f64>,
    pub allocations: f64,
}

impl<'a, T> Case<'a, T> {
    pub fn new(name: &'a str, call: impl FnMut(&T) + 'a) -> Self {
        Self {
            name,
            call: Box::new(call),
            nanoseconds: Vec::new(),
            allocations: 0.0,
        }
    }

    /// The median of the rounds.
    pub fn nanoseconds(&self) -> f64 {
        median(self.nanoseconds.clone())
    }

    /// The slowest of the quickest tenth of the rounds: what it costs by itself. A neighbour on the same
    /// core or cache makes any round dearer, none cheaper, and whoever touches more memory suffers more.
    pub fn undisturbed(&self) -> f64 {
        quantile(self.nanoseconds.clone(), 0.1)
    }

    /// The median of the rounds' ratios.
    pub fn ratio(&self, other: &Self) -> f64 {
        self.per_round(other, |one, other| one / other)
    }

    /// The median of the rounds' differences.
    pub fn over(&self, other: &Self) -> f64 {
        self.per_round(other, |one, other| one - other)
    }

    fn per_round(&self, other: &Self, figure: impl Fn(f64, f64) -> f64) -> f64 {
        let each = self.nanoseconds.iter().zip(&other.nanoseconds);
        median(each.map(|(one, other)| figure(*one, *other)).collect())
    }
}

/// Runs all cases in short slices, in turns, so that a neighbour on the machine slows all of a round
/// alike.
pub fn measure<T>(cases: &mut [Case<'_, T>], items: &[T], rounds: usize) {
    // Not in the order in which they were stored: nobody asks in that one.
    let asked = || (0..items.len()).map(|n| &items[n * 7 % items.len()]);
    for _ in 0..rounds {
        for case in cases.iter_mut() {
            // Untimed, until the processor has forgotten what the case before it has left there.
            (0..4).for_each(|_| asked().for_each(&mut case.call));
            let (before, start) = (heap::allocations(), cpu::time());
            asked().for_each(&mut case.call);
            let each = |sum: u64| sum as f64 / items.len() as f64;
            let spent = cpu::time() - start;
            case.nanoseconds.push(each(spent.as_nanos() as u64));
            case.allocations = each(heap::allocations() - before);
        }
    }
}

/// Measures and prints a table.
pub fn compare<T>(cases: &mut [Case<'_, T>], items: &[T], rounds: usize) {
    measure(cases, items, rounds);
    let keys = items.len();
    println!(
        "| {rounds} rounds of {keys} keys, in turns | median ns | undisturbed ns | allocations |"
    );
    println!("| --- | ---: | ---: | ---: |");
    for case in cases {
        println!(
            "| {} | {:.0} | {:.0} | {:.2} |",
            case.name,
            case.nanoseconds(),
            case.undisturbed(),
            case.allocations
        );
    }
}

pub fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() as f64 * share) as usize]
}

/// The ratio of two cases: as they were, and undisturbed.
pub fn print_ratio<T>(one: &Case<'_, T>, other: &Case<'_, T>) {
    println!(
        "{} / {}: {:.2}, undisturbed {:.2}",
        one.name,
        other.name,
        one.ratio(other),
        one.undisturbed() / other.undisturbed()
    );
}
