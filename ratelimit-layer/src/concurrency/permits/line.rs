//! The lines, the turns, and how places are handed over; the module above explains them.

use super::counts::{Client, Full, Permit, Permits, forget};
use super::sync::MutexGuard;
use std::collections::BTreeMap;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

/// One client's line: who waits, by ticket, and the turn the client has.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiters: BTreeMap<u64, Waker>,
    turn: Option<u64>,
}

/// Whose turn it is, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Clients by turn.
    turns: BTreeMap<u64, u64>,
    /// The last ticket or turn given out.
    last: u64,
    /// Tickets in all lines.
    waiting: usize,
}

impl Queue {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl Permits {
    /// A place at the end of the client's line, unless that or all lines together are full. The
    /// turn may have come at once.
    pub(crate) fn line_up(self: &Arc<Self>, client: u64) -> Result<Turn, Full> {
        let queue = self.queue();
        let shard = self.shard(client);
        let entry = shard.get(&client);
        let line = entry.map_or(0, |entry| {
            entry.line.as_ref().map_or(0, |line| line.waiters.len())
        });
        if line >= self.waiting || queue.waiting >= self.waiting_total {
            return Err(self.reason(entry));
        }
        drop(shard);
        Ok(self.enter_line(queue, client))
    }

    /// The same for a request that was admitted before and has lent its place: whatever the line.
    pub(crate) fn line_up_again(self: &Arc<Self>, client: u64) -> Turn {
        self.enter_line(self.queue(), client)
    }

    fn enter_line(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>, client: u64) -> Turn {
        let ticket = queue.next();
        queue.waiting += 1;
        let mut shard = self.shard(client);
        let entry = shard.entry(client).or_default();
        let line = entry.line.get_or_insert_default();
        line.waiters.insert(ticket, Waker::noop().clone());
        self.settle(&mut queue, client, entry);
        drop(shard);
        self.let_in(queue);
        Turn {
            permits: Some(Arc::clone(self)),
            client,
            ticket,
        }
    }

    /// After the client has given a place back: lets in whose turn it is.
    pub(super) fn pass_on(&self, client: u64) {
        let mut queue = self.queue();
        if let Some(entry) = self.shard(client).get_mut(&client) {
            self.settle(&mut queue, client, entry);
        }
        self.let_in(queue);
    }

    /// The same after a change that concerns all clients.
    pub(super) fn reconsider(&self) {
        let mut queue = self.queue();
        for mut shard in self.shards() {
            for (client, entry) in shard.iter_mut() {
                self.settle(&mut queue, *client, entry);
            }
        }
        self.let_in(queue);
    }

    /// Gives free places to the oldest turns.
    pub(super) fn let_in(&self, mut queue: MutexGuard<'_, Queue>) {
        let mut woken = Vec::new();
        while let Some((&turn, &client)) = queue.turns.first_key_value() {
            let mut shard = self.shard(client);
            let entry = shard.get_mut(&client).expect("who has a turn is in line");
            // The limit may have been lowered since the turn was given.
            if entry.in_flight < self.per_client() {
                if !self.take_place(|_| true) {
                    break;
                }
                entry.in_flight += 1;
                queue.waiting -= 1;
                woken.extend(
                    entry
                        .line
                        .as_mut()
                        .and_then(|line| line.waiters.pop_first()),
                );
            }
            // Used up; the next one is behind everybody else's.
            queue.turns.remove(&turn);
            if let Some(line) = &mut entry.line {
                line.turn = None;
            }
            self.settle(&mut queue, client, entry);
        }
        drop(queue);
        for (_, waker) in woken {
            waker.wake();
        }
    }

    /// Makes it true again that a client has a turn if somebody is in its line and it has a place of
    /// its own left; a line without waiters goes.
    fn settle(&self, queue: &mut Queue, client: u64, entry: &mut Client) {
        let Some(line) = &mut entry.line else { return };
        let waits = !line.waiters.is_empty();
        match line.turn {
            None if waits && entry.in_flight < self.per_client() => {
                let turn = queue.next();
                queue.turns.insert(turn, client);
                line.turn = Some(turn);
            }
            Some(turn) if !waits => {
                queue.turns.remove(&turn);
            }
            _ => {}
        }
        if !waits {
            entry.line = None;
        }
        self.announce(!queue.turns.is_empty());
    }

    /// Whether this ticket is still in line; if so, whom to wake.
    fn still_waits(&self, client: u64, ticket: u64, waker: &mut Waker) -> bool {
        let mut shard = self.shard(client);
        let line = shard.get_mut(&client).and_then(|entry| entry.line.as_mut());
        match line.and_then(|line| line.waiters.get_mut(&ticket)) {
            Some(in_line) => {
                mem::swap(in_line, waker);
                true
            }
            None => false,
        }
    }

    /// Takes a ticket out of its line; `None`: it has got its place.
    fn leave(&self, client: u64, ticket: u64) -> Option<Waker> {
        let mut queue = self.queue();
        let mut shard = self.shard(client);
        let entry = shard.get_mut(&client)?;
        let waker = entry.line.as_mut()?.waiters.remove(&ticket)?;
        queue.waiting -= 1;
        self.settle(&mut queue, client, entry);
        forget(&mut shard, client);
        Some(waker)
    }

    /// Which limit holds this client back.
    pub(crate) fn full(&self, client: u64) -> Full {
        self.reason(self.shard(client).get(&client))
    }

    pub(super) fn reason(&self, entry: Option<&Client>) -> Full {
        match entry {
            Some(entry) if entry.in_flight >= self.per_client() => Full::Client,
            _ => Full::Total,
        }
    }

    /// Requests in all lines.
    pub(crate) fn waiting(&self) -> usize {
        self.queue().waiting
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        // As with the shards: nothing under the lock panics half done.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in line; becomes a permit when its turn comes.
///
/// Dropped before, it leaves the line; dropped after, its place goes to the next.
#[derive(Debug)]
pub struct Turn {
    /// `None` once it has become a permit.
    permits: Option<Arc<Permits>>,
    client: u64,
    ticket: u64,
}

impl Future for Turn {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        // Cloned before the lock, and what it replaces dropped after it.
        let mut waker = cx.waker().clone();
        let (client, ticket) = (self.client, self.ticket);
        let permits = self.permits.as_ref().expect("polled after it was ready");
        if permits.still_waits(client, ticket, &mut waker) {
            return Poll::Pending;
        }
        let permit = Permit::new(permits, client);
        self.permits = None;
        Poll::Ready(permit)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(permits) = self.permits.take()
            && permits.leave(self.client, self.ticket).is_none()
        {
            drop(Permit::new(&permits, self.client));
        }
    }
}
