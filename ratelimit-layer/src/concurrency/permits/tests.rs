use super::*;
use std::task::{Context, Poll, Waker};

fn permits(per_client: usize, total: usize) -> std::sync::Arc<Permits> {
    Permits::new(Limits {
        per_client,
        total,
        waiting: 2_000,
        waiting_total: 2_000,
    })
}

/// Whether its turn has come.
fn poll(turn: &mut Turn) -> Option<Permit> {
    match std::pin::Pin::new(turn).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(permit) => Some(permit),
        Poll::Pending => None,
    }
}

/// A thousand of one client against one of each of nine others, all behind the total.
#[test]
fn places_go_round_over_the_clients() {
    let permits = permits(10_000, 1);
    let mut held = Some(permits.acquire(0).unwrap());
    let mut turns: Vec<_> = (0..1_000)
        .map(|_| (0, permits.line_up(0).unwrap()))
        .chain((1..10).map(|client| (client, permits.line_up(client).unwrap())))
        .collect();
    let mut order = Vec::new();
    while !turns.is_empty() {
        drop(held.take());
        let mut let_in = turns
            .iter_mut()
            .enumerate()
            .filter_map(|(index, (_, turn))| poll(turn).map(|permit| (index, permit)));
        let (index, permit) = let_in.next().expect("a free place is handed over");
        assert!(let_in.next().is_none(), "only one place was free");
        held = Some(permit);
        order.push(turns.remove(index).0);
    }
    // The others are behind the first turn that client 0 had, and before its second.
    assert_eq!(order[..11], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
    assert!(order[11..].iter().all(|client| *client == 0));
    drop(held);
    assert_eq!(
        (permits.in_flight(), permits.waiting(), permits.clients()),
        (0, 0, 0)
    );
}

/// A client at its own limit holds up nobody else, though it came first.
#[test]
fn who_waits_for_itself_holds_up_nobody() {
    let permits = permits(1, 3);
    let held = permits.acquire(1).unwrap();
    let mut own = permits.line_up(1).unwrap();
    assert!(!permits.anybody_has_a_turn());
    let others = [permits.acquire(2).unwrap(), permits.acquire(3).unwrap()];
    assert!(poll(&mut own).is_none());
    drop(held);
    assert!(poll(&mut own).is_some());
    drop(others);
}

/// As long as somebody waits for the total, newcomers do not take what comes free.
#[test]
fn newcomers_overtake_nobody() {
    let permits = permits(2, 1);
    let held = permits.acquire(1).unwrap();
    let mut first = permits.line_up(2).unwrap();
    drop(held);
    assert_eq!(permits.acquire(3).unwrap_err(), Full::Total);
    let second = poll(&mut first).unwrap();
    let mut own = permits.line_up(2).unwrap();
    permits.set_total(2);
    let third = poll(&mut own).unwrap();
    drop((second, third));
}

#[test]
fn limits_change_under_way() {
    let permits = permits(1, 4);
    let held: Vec<_> = (0..4)
        .map(|client| permits.acquire(client).unwrap())
        .collect();
    let mut own = permits.line_up(0).unwrap();
    let mut other = permits.line_up(5).unwrap();
    // A second place of its own does not help while the total is reached.
    permits.set_per_client(2);
    assert!(poll(&mut own).is_none() && poll(&mut other).is_none());
    // Lowered again: its turn is void, and the other's stands.
    permits.set_per_client(1);
    permits.set_total(5);
    assert!(poll(&mut own).is_none());
    let permit = poll(&mut other).unwrap();
    // Two must leave before the next comes in.
    permits.set_total(4);
    drop(permit);
    assert_eq!(permits.acquire(6).unwrap_err(), Full::Total);
    drop(held);
    assert!(poll(&mut own).is_some());
    drop(own);
    assert_eq!(
        (permits.in_flight(), permits.waiting(), permits.clients()),
        (0, 0, 0)
    );
    assert!(!permits.anybody_has_a_turn());
}

/// Nothing is left of a crowd that has gone, in flight or in line.
#[test]
fn memory_is_given_back() {
    let permits = permits(1, 100_000);
    for waits in [false, true] {
        if waits {
            permits.set_total(1);
        }
        let held: Vec<_> = (0..2_000_u64)
            .map(|client| {
                let client = client.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                permits
                    .acquire(client)
                    .map_err(|_| permits.line_up(client).unwrap())
            })
            .collect();
        assert_eq!(permits.clients(), 2_000);
        assert_eq!(permits.waiting(), if waits { 1_999 } else { 0 });
        drop(held);
        assert_eq!(
            (permits.in_flight(), permits.waiting(), permits.clients()),
            (0, 0, 0)
        );
        // 32 shards with at most their spare room, which the map rounds up.
        assert!(
            permits
                .shards()
                .map(|shard| shard.capacity())
                .sum::<usize>()
                <= 32 * 128
        );
    }
}
