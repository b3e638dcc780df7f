//! Whatever happens, in whatever order.

use super::*;
use proptest::prelude::*;

/// What happens to a cache.
#[derive(Debug, Clone)]
enum Event {
    Put {
        key: u64,
        weight: u64,
        fresh: u64,
        more: u64,
        idle: u64,
    },
    Ask(u64),
    Remove(u64),
    Later(u64),
    Coldest,
    Expired,
    Sweep,
}

fn event() -> impl Strategy<Value = Event> {
    let key = || 0..20u64;
    let put = (key(), 0..60u64, 0..100u64, 0..100u64, 1..300u64).prop_map(
        |(key, weight, fresh, more, idle)| Event::Put {
            key,
            weight,
            fresh,
            more,
            idle,
        },
    );
    prop_oneof![
        6 => put,
        6 => key().prop_map(Event::Ask),
        1 => key().prop_map(Event::Remove),
        2 => (0..40u64).prop_map(Event::Later),
        1 => Just(Event::Coldest),
        1 => Just(Event::Expired),
        1 => Just(Event::Sweep),
    ]
}

proptest! {
    /// Within the bound after each event, nothing lost, nothing twice, and no useful one swept out.
    #[test]
    fn the_books_are_always_right(
        which in 0..3usize,
        max_bytes in 1..300u64,
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut cache = Cache::new(max_bytes, ALL[which]);
        for event in events {
            match event {
                Event::Put { key, weight, fresh, more, idle } => {
                    let ends = Ends { fresh: cache.now + fresh, useful: cache.now + fresh + more, idle };
                    cache.put_until(key, weight, ends);
                }
                Event::Ask(key) => { cache.ask(key); }
                Event::Remove(key) => {
                    if let Some(one) = cache.there.remove(&key) {
                        assert!(cache.policy.remove(&one) && !cache.policy.remove(&one));
                        assert_eq!(Arc::strong_count(&one), 1, "nobody holds on to it");
                    }
                }
                Event::Later(time) => cache.now += time,
                Event::Coldest => {
                    let empty = cache.there.is_empty();
                    assert_eq!(cache.coldest().is_none(), empty);
                }
                Event::Expired => {
                    let has_expired = |one: &One| one.ends().idle.min(one.ends().fresh) <= cache.now;
                    let expired = cache.there.values().filter(|one| has_expired(one)).count();
                    let mut found = 0;
                    while let Some(one) = cache.expired(cache.now) {
                        assert!(cache.there.remove(&one.key).is_some());
                        found += 1;
                    }
                    assert!(found >= expired);
                }
                Event::Sweep => {
                    while let Some(useless) = cache.useless(cache.now) {
                        let ends = useless.ends();
                        assert!(ends.idle.min(ends.useful) <= cache.now);
                        assert!(cache.there.remove(&useless.key).is_some());
                    }
                    let alive = |one: &One| one.ends().idle.min(one.ends().useful) > cache.now;
                    assert!(cache.there.values().all(|one| alive(one)));
                }
            }
            cache.check();
        }
    }

    /// The order of uses is exact.
    #[test]
    fn lru_is_what_a_list_would_do(requests in prop::collection::vec(0..30u64, 1..300), room in 1..20usize) {
        let mut cache = Cache::new(room as u64, Eviction::Lru);
        let mut list: Vec<u64> = Vec::new();
        for key in requests {
            let known = list.iter().position(|other| *other == key);
            assert_eq!(cache.request(key), known.is_some());
            known.map(|place| list.remove(place));
            list.push(key);
            if list.len() > room {
                list.remove(0);
            }
        }
    }
}
