//! Whom TinyLFU keeps, by size and by traffic.

use super::*;

#[test]
fn a_large_one_must_be_asked_for_more_often_by_the_root_of_its_size() {
    let mut cache = Cache::new(1000, Eviction::TinyLfu);
    for _ in 0..3 {
        (0..1000).for_each(|key| {
            cache.request(key);
        });
    }
    // Three times the root of 300 are 52.
    let tries = (0..).take_while(|_| !cache.put(5000, 300).is_empty() && !cache.ask(5000));
    let tries = tries.count();
    assert!((40..65).contains(&tries), "{tries}");
    cache.check();
}

#[test]
fn reclaiming_takes_a_cold_small_one_before_a_hot_large_one() {
    let mut cache = Cache::new(1000, Eviction::TinyLfu);
    cache.put(1, 400);
    (2..500).for_each(|key| assert!(cache.put(key, 1).is_empty()));
    (0..100).for_each(|_| assert!(cache.ask(1)));
    let cold = std::iter::from_fn(|| cache.coldest()).take(498);
    assert!(cold.collect::<Vec<_>>().iter().all(|key| *key != 1));
    assert_eq!(cache.coldest(), Some(1));
}

#[test]
fn what_was_popular_is_known_when_it_comes_back() {
    let mut cache = Cache::new(1000, Eviction::TinyLfu);
    for _ in 0..5 {
        (0..1000).for_each(|key| {
            cache.request(key);
        });
    }
    let there = |cache: &Cache| cache.there.keys().copied().next();
    let popular = there(&cache).unwrap();
    (0..50).for_each(|_| assert!(cache.ask(popular)));
    let one = cache.there.remove(&popular).unwrap();
    assert!(cache.policy.remove(&one));
    (2000..2100).for_each(|key| {
        cache.request(key);
    });
    cache.request(popular);
    // Who is asked for once does not turn it out of the window, nor of anything else.
    (3000..3100).for_each(|key| {
        cache.request(key);
    });
    assert!(cache.ask(popular));
}

/// Hits of a cache with room for 300, in per cent, of the second half of the requests.
fn ratio(eviction: Eviction, key: impl Fn(u64, f64) -> u64) -> f64 {
    const REQUESTS: u64 = 60_000;
    let mut cache = Cache::new(300, eviction);
    let (mut hits, mut seed) = (0, 1u64);
    for n in 0..REQUESTS {
        seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        let drawn = (seed >> 11) as f64 / (1u64 << 53) as f64;
        let hit = cache.request(key(n, drawn));
        hits += u64::from(hit && n >= REQUESTS / 2);
    }
    cache.check();
    hits as f64 * 200.0 / REQUESTS as f64
}

const ONCE: u64 = 1 << 40;

/// As often as others, one that is asked for once; otherwise, by Zipf's law nearly.
fn zipf(n: u64, drawn: f64) -> u64 {
    if n.is_multiple_of(3) {
        ONCE + n
    } else {
        5000f64.powf(drawn) as u64
    }
}

/// Each is asked for some times, and soon no more.
fn news(n: u64, drawn: f64) -> u64 {
    let age = -drawn.max(1e-9).ln() * 100.0;
    10_000 + n / 10 - (age as u64).min(10_000)
}

#[test]
fn what_is_popular_for_good_is_learnt() {
    let lru = ratio(Eviction::Lru, zipf);
    let tiny_lfu = ratio(Eviction::TinyLfu, zipf);
    assert!(tiny_lfu > lru + 7.0, "{tiny_lfu} {lru}");
}

#[test]
fn where_the_new_is_what_is_asked_for_the_past_is_forgotten() {
    let lru = ratio(Eviction::Lru, news);
    let tiny_lfu = ratio(Eviction::TinyLfu, news);
    assert!(tiny_lfu > lru - 1.0, "{tiny_lfu} {lru}");
}

#[test]
fn it_learns_anew_when_the_traffic_changes() {
    let change = |n, drawn| match n < 30_000 {
        true => zipf(n, drawn),
        false => news(n, drawn),
    };
    let lru = ratio(Eviction::Lru, change);
    let tiny_lfu = ratio(Eviction::TinyLfu, change);
    assert!(tiny_lfu > lru - 2.0, "{tiny_lfu} {lru}");
    let back = |n, drawn| match n < 30_000 {
        true => news(n, drawn),
        false => zipf(n, drawn),
    };
    let lru = ratio(Eviction::Lru, back);
    let tiny_lfu = ratio(Eviction::TinyLfu, back);
    assert!(tiny_lfu > lru + 5.0, "{tiny_lfu} {lru}");
}

#[test]
fn who_has_left_has_no_place_to_give() {
    let mut cache = Cache::new(10_000, Eviction::TinyLfu);
    // The last two are in the window, the first is among the others.
    (1..5).for_each(|key| assert!(cache.put(key, 50).is_empty()));
    let first = Arc::clone(&cache.there[&1]);
    assert_ne!(first.place.segment(), cache.there[&4].place.segment());
    let newest = |cache: &Cache| cache.there[&1].place.segment();
    cache.put(1, 50);
    assert_eq!(newest(&cache), first.place.segment(), "it takes its place");
    let second = Arc::clone(&cache.there[&1]);
    assert!(cache.policy.remove(&second));
    cache.put(1, 50);
    assert_ne!(newest(&cache), first.place.segment(), "a newcomer");
}
