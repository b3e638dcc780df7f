//! Hit ratios of cache-layer, of other caches, and of a plain LRU, on the same traces, with the same
//! weights and the same bytes to hold.
//!
//! `cargo bench --manifest-path tests/peers/Cargo.toml --bench ratio` (add `-- --quick` for short traces)
#![allow(unsafe_code, reason = "the support counts allocations")]
#![allow(unreachable_pub, reason = "the support is cache-layer's own")]
#![allow(clippy::disallowed_types, reason = "the support measures real time")]

#[path = "../../../cache-layer/benches/support/mod.rs"]
mod support;

use bytes::Bytes;
use cache_layer::{CacheLayer, Eviction};
use http::{HeaderValue, Uri};
use moka::policy::EvictionPolicy;
use std::collections::{BTreeMap, HashMap};
use support::trace::{Ratio, Trace};
use support::{Origin, answer, ask, request};
use tokio::runtime::Runtime;
use tower::Layer;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (requests, keys) = if quick {
        (100_000, 10_000)
    } else {
        (1_000_000, 100_000)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let bench = Bench {
        extra: extra(&runtime),
        runtime,
    };
    println!(
        "What an entry weighs beside its body: {} bytes.\n",
        bench.extra
    );
    println!(
        "Hits in % of the requests / of the bytes. Asked: cache-layer's TinyLFU within 2 points of moka's,"
    );
    println!(
        "and 8 above the plain LRU, where 30 % of the requests are for keys that are asked for once.\n"
    );
    let columns = [
        "TinyLFU",
        "LRU",
        "moka TinyLFU",
        "moka LRU",
        "quick_cache",
        "plain LRU",
        "best fixed set",
        "to moka",
        "to LRU",
    ];
    println!("| trace | room | {} |", columns.join(" | "));
    println!("| --- | ---: |{}", " ---: |".repeat(columns.len()));
    for skew in [0.7, 0.8, 0.9, 1.0, 1.1, 1.2] {
        for part in [1, 5, 10] {
            bench.row(&Trace::zipf(requests, keys, skew, 0.3), part);
        }
    }
    for skew in [0.7, 0.9, 1.1] {
        for part in [1, 5, 10] {
            let trace = Trace::zipf(requests, keys, skew, 0.3);
            bench.row(&trace.of_many_sizes(), part);
        }
    }
    for trace in [
        Trace::zipf(requests, keys, 0.9, 0.0),
        Trace::shifting(requests, keys),
        Trace::shifting(requests, keys).of_many_sizes(),
        Trace::scans_and_loops(requests, keys),
        Trace::news(requests, keys),
        Trace::news(requests, keys).of_many_sizes(),
    ] {
        for part in [5, 20] {
            bench.row(&trace, part);
        }
    }
}

struct Bench {
    runtime: Runtime,
    /// What cache-layer counts for an entry, apart from its body.
    extra: u64,
}

impl Bench {
    /// All caches on one trace, each with room for so many per cent of its working set.
    fn row(&self, trace: &Trace, part: u64) {
        let room = self.weight_of_all(trace) * part / 100;
        let ratios = [
            self.cache_layer(trace, room, Eviction::TinyLfu),
            self.cache_layer(trace, room, Eviction::Lru),
            self.moka(trace, room, EvictionPolicy::tiny_lfu()),
            self.moka(trace, room, EvictionPolicy::lru()),
            self.quick_cache(trace, room),
            self.plain_lru(trace, room),
            self.best_fixed_set(trace, room),
        ];
        let cells = ratios.map(|ratio| format!("{:.1} / {:.1}", ratio.objects, ratio.bytes));
        let [ours, _, moka, .., lru, _] = ratios;
        println!(
            "| {} | {part} % | {} | {:+.1} | {:+.1} |",
            trace.name,
            cells.join(" | "),
            ours.objects - moka.objects,
            ours.objects - lru.objects
        );
    }

    fn weight_of_all(&self, trace: &Trace) -> u64 {
        let weight = |key| trace.size(key) + self.extra;
        (0..trace.working_set).map(weight).sum()
    }

    fn cache_layer(&self, trace: &Trace, room: u64, eviction: Eviction) -> Ratio {
        let cache = CacheLayer::new(room).eviction(eviction).layer(origin());
        trace.replay(|key| {
            let request = request(&uri(key, trace.size(key)));
            self.runtime.block_on(ask(&cache, request))
        })
    }

    fn moka(&self, trace: &Trace, room: u64, policy: EvictionPolicy) -> Ratio {
        let cache = moka::sync::Cache::builder()
            .max_capacity(room)
            .weigher(|_, weight: &u32| *weight)
            .eviction_policy(policy)
            .build();
        let mut asked = 0;
        trace.replay(|key| {
            asked += 1;
            // It catches up by itself, at times; this is the best it can do.
            if asked % 32 == 0 {
                cache.run_pending_tasks();
            }
            let hit = cache.get(&key).is_some();
            if !hit {
                cache.insert(key, (trace.size(key) + self.extra) as u32);
            }
            hit
        })
    }

    fn quick_cache(&self, trace: &Trace, room: u64) -> Ratio {
        let entries = room * trace.working_set / self.weight_of_all(trace);
        let cache = quick_cache::sync::Cache::with_weighter(entries as usize, room, Weight);
        trace.replay(|key| {
            let hit = cache.get(&key).is_some();
            if !hit {
                cache.insert(key, trace.size(key) + self.extra);
            }
            hit
        })
    }

    /// Those asked for most often for their weight, known beforehand, once they have come: what is popular
    /// for good has no better answer.
    fn best_fixed_set(&self, trace: &Trace, room: u64) -> Ratio {
        let weight = |key| trace.size(key) + self.extra;
        let mut asked = HashMap::<u64, u64>::new();
        trace
            .keys
            .iter()
            .for_each(|key| *asked.entry(*key).or_default() += 1);
        let mut best: Vec<_> = asked.into_iter().collect();
        best.sort_by_key(|&(key, times)| (std::cmp::Reverse(times * 1_000_000 / weight(key)), key));
        let mut left = room;
        let mut chosen = HashMap::new();
        for (key, _) in best {
            if let Some(rest) = left.checked_sub(weight(key)) {
                left = rest;
                chosen.insert(key, false);
            }
        }
        trace.replay(|key| {
            let held = chosen.get_mut(&key);
            held.is_some_and(|held| std::mem::replace(held, true))
        })
    }

    fn plain_lru(&self, trace: &Trace, room: u64) -> Ratio {
        let mut lru = Lru::new(room);
        trace.replay(|key| lru.ask(key, trace.size(key) + self.extra))
    }
}

#[derive(Clone)]
struct Weight;

impl quick_cache::Weighter<u64, u64> for Weight {
    fn weight(&self, _: &u64, weight: &u64) -> u64 {
        *weight
    }
}

/// The textbook's: exact, and as slow as it likes.
struct Lru {
    room: u64,
    held: u64,
    turn: u64,
    /// When each was last asked for, and what it weighs.
    entries: HashMap<u64, (u64, u64)>,
    oldest: BTreeMap<u64, u64>,
}

impl Lru {
    fn new(room: u64) -> Self {
        Self {
            room,
            held: 0,
            turn: 0,
            entries: HashMap::new(),
            oldest: BTreeMap::new(),
        }
    }

    /// Whether it was there; now it is.
    fn ask(&mut self, key: u64, weight: u64) -> bool {
        self.turn += 1;
        let before = self.entries.insert(key, (self.turn, weight));
        self.oldest.insert(self.turn, key);
        if let Some((turn, _)) = before {
            self.oldest.remove(&turn);
            return true;
        }
        self.held += weight;
        while self.held > self.room {
            let (_, key) = self.oldest.pop_first().unwrap();
            let (_, weight) = self.entries.remove(&key).unwrap();
            self.held -= weight;
        }
        false
    }
}

const LARGEST: usize = 256 * 1024;

/// Answers as large as their URIs say.
fn origin() -> Origin {
    static BODY: [u8; LARGEST] = [b'x'; LARGEST];
    Origin::by(|uri| {
        let size = uri.query().unwrap().parse::<usize>().unwrap();
        let cache_control = HeaderValue::from_static("max-age=86400");
        answer(Bytes::from_static(&BODY[..size]), cache_control)
    })
}

fn uri(key: u64, size: u64) -> Uri {
    let uri = format!("http://api.example.com/{key:016x}?{size:06}");
    uri.parse().unwrap()
}

/// What cache-layer counts for an entry of this bench, apart from its body.
fn extra(runtime: &Runtime) -> u64 {
    const SIZE: u64 = 4096;
    let layer = CacheLayer::new(1 << 20);
    let (cache, handle) = (layer.layer(origin()), layer.handle());
    let counted = |key| {
        runtime.block_on(ask(&cache, request(&uri(key, SIZE))));
        handle.stats().bytes
    };
    let first = counted(1);
    counted(2) - first - SIZE
}
