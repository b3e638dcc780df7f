//! Who asks for what: traces of requests, drawn by a seed, the same in every run.

/// SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.unit() * bound as f64) as u64
    }
}

/// Ranks by Zipf's law: rank `r`, from 1 on, in proportion to `1 / r^skew`.
pub struct Zipf(Vec<f64>);

impl Zipf {
    pub fn new(ranks: u64, skew: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=ranks).map(|rank| {
            sum += (rank as f64).powf(-skew);
            sum
        });
        Self(weights.collect())
    }

    /// A rank, from 0 on.
    pub fn draw(&self, random: &mut Random) -> u64 {
        let drawn = random.unit() * self.0[self.0.len() - 1];
        self.0.partition_point(|sum| *sum < drawn) as u64
    }
}

/// Requests for keys in their order, and how large the answers are.
pub struct Trace {
    pub name: String,
    pub keys: Vec<u64>,
    /// How many keys may be asked for again.
    pub working_set: u64,
    size: fn(u64) -> u64,
}

/// Keys from here on are asked for once.
const ONCE: u64 = 1 << 40;

impl Trace {
    pub fn size(&self, key: u64) -> u64 {
        (self.size)(key)
    }

    /// By Zipf's law, and a part of the requests for keys that nobody ever asks for again.
    pub fn zipf(requests: u64, working_set: u64, skew: f64, once: f64) -> Self {
        let (zipf, mut random) = (Zipf::new(working_set, skew), Random(1));
        let draw = |n| match random.unit() < once {
            true => ONCE + n,
            false => zipf.draw(&mut random),
        };
        Self {
            name: format!("Zipf {skew}, {:.0} % once", once * 100.0),
            keys: (0..requests).map(draw).collect(),
            working_set,
            size: |_| 4096,
        }
    }

    /// Bodies of 1 KiB to 256 KiB, each power of two as often as any other.
    pub fn of_many_sizes(mut self) -> Self {
        self.name += ", 1 to 256 KiB";
        self.size = |key| (1024.0 * 256f64.powf(Random(key).unit())) as u64;
        self
    }

    /// What is popular passes: after each tenth of the trace, what led is asked for no more, and what
    /// was far behind leads.
    pub fn shifting(requests: u64, working_set: u64) -> Self {
        let mut trace = Self::zipf(requests, working_set, 0.9, 0.0);
        trace.name = "Zipf 0.9, shifting by a tenth".into();
        for (n, key) in trace.keys.iter_mut().enumerate() {
            *key += n as u64 * 10 / requests * (working_set / 10);
        }
        trace
    }

    /// Popular ones, interrupted by crawlers that see each page once, and by others that come round to
    /// the same tenth of all pages again and again.
    pub fn scans_and_loops(requests: u64, working_set: u64) -> Self {
        let mut trace = Self::zipf(requests, working_set, 0.9, 0.0);
        trace.name = "Zipf 0.9, scans and loops".into();
        let run = requests / 100;
        for (n, key) in trace.keys.iter_mut().enumerate() {
            let n = n as u64;
            match n / run % 5 {
                1 => *key = ONCE + n,
                3 => *key = (1 << 32) + n % (working_set / 10),
                _ => {}
            }
        }
        trace
    }

    /// News: each key comes up once, is asked for ten times or so, and the less often the longer ago
    /// that was.
    pub fn news(requests: u64, working_set: u64) -> Self {
        let mut random = Random(2);
        let age = |random: &mut Random| -random.unit().max(1e-9).ln() * working_set as f64 / 10.0;
        let draw = |n: u64| {
            let newest = working_set + n / 10;
            newest - (age(&mut random) as u64).min(working_set)
        };
        Self {
            name: "news".into(),
            keys: (0..requests).map(draw).collect(),
            working_set,
            size: |_| 4096,
        }
    }

    /// Asks for all, in order; the hit ratio by requests and by bytes, in per cent.
    pub fn replay(&self, mut ask: impl FnMut(u64) -> bool) -> Ratio {
        let (mut hits, mut bytes_hit, mut bytes) = (0, 0, 0);
        for &key in &self.keys {
            let size = self.size(key);
            bytes += size;
            if ask(key) {
                hits += 1;
                bytes_hit += size;
            }
        }
        let percent = |part: u64, all: u64| 100.0 * part as f64 / all as f64;
        Ratio {
            objects: percent(hits, self.keys.len() as u64),
            bytes: percent(bytes_hit, bytes),
        }
    }
}

#[derive(Clone, Copy)]
pub struct Ratio {
    pub objects: f64,
    pub bytes: f64,
}
