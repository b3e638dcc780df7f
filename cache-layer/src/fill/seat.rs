//! What a fill's task shows and what its readers see of it.

use super::PATIENCE;
use crate::key::Key;
use crate::rfc9111::vary::Selection;
use crate::search;
use crate::store::{Charge, Head, Ledger};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use slab::Slab;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::{Notify, watch};

/// One request to the origin, as its readers share it.
pub(crate) struct Fill {
    pub(crate) key: Key,
    /// Where it began among the invalidations.
    pub(crate) number: u64,
    /// How the key was made, where answers may say which queries are alike.
    pub(crate) search: Option<Box<search::Asked>>,
    /// The leader's fields, by the names that were known to matter when it began.
    pub(super) selection: Selection,
    headline: watch::Sender<Headline>,
    state: Mutex<State>,
    /// A reader has moved on, or left.
    moved: Notify,
}

/// What a new fill starts with.
pub(crate) struct Newcomer {
    pub(crate) number: u64,
    pub(crate) search: Option<Box<search::Asked>>,
    pub(crate) selection: Selection,
    pub(crate) ledger: Arc<Ledger>,
}

/// What followers learn first.
#[derive(Debug, Clone)]
pub(crate) enum Headline {
    Pending,
    /// May be shared, with whoever its rules allow.
    Published(Arc<Head>),
    /// May not: everyone to the origin by himself.
    Released,
    /// May not, because of who asked: others may share an answer of their own.
    Personal,
}

struct State {
    frames: VecDeque<Bytes>,
    /// The number of `frames[0]`, counted from the first frame of the body.
    first: usize,
    end: Option<End>,
    seats: Slab<Reader>,
    /// Too large to keep: frames that all have seen are dropped.
    passing: bool,
    charge: Charge,
    /// Octets that are counted already, and still to be shown.
    reserved: u64,
}

enum End {
    Complete(Option<HeaderMap>),
    Broken,
}

#[derive(Default)]
struct Reader {
    /// The number of the frame to read next.
    next: usize,
    cut: bool,
    waker: Option<Waker>,
}

impl Fill {
    /// A new fill, with its leader seated.
    pub(super) fn begin(key: Key, newcomer: Newcomer) -> (Arc<Self>, Seat) {
        let mut seats = Slab::new();
        let index = seats.insert(Reader::default());
        let fill = Arc::new(Self {
            key,
            number: newcomer.number,
            search: newcomer.search,
            selection: newcomer.selection,
            headline: watch::Sender::new(Headline::Pending),
            state: Mutex::new(State {
                frames: VecDeque::new(),
                first: 0,
                end: None,
                seats,
                passing: false,
                charge: Charge::new(&newcomer.ledger, 0),
                reserved: 0,
            }),
            moved: Notify::new(),
        });
        let seat = Seat {
            fill: Arc::clone(&fill),
            index,
        };
        (fill, seat)
    }

    pub(super) fn headline(&self) -> Headline {
        self.headline.borrow().clone()
    }

    pub(super) fn publish(&self, head: Arc<Head>) {
        self.headline.send_replace(Headline::Published(head));
    }

    pub(super) fn release(&self) {
        self.headline.send_replace(Headline::Released);
    }

    pub(super) fn release_others(&self) {
        self.headline.send_replace(Headline::Personal);
    }

    /// A place from which the whole body can be read; none once its start is gone.
    pub(super) fn take_seat(self: &Arc<Self>) -> Option<Seat> {
        let mut state = self.lock();
        if state.passing || matches!(state.end, Some(End::Broken)) {
            return None;
        }
        let index = state.seats.insert(Reader::default());
        Some(Seat {
            fill: Arc::clone(self),
            index,
        })
    }

    pub(super) fn has_readers(&self) -> bool {
        !self.lock().seats.is_empty()
    }

    /// Waits until all readers have left.
    pub(super) async fn left(&self) {
        loop {
            let moved = self.moved.notified();
            if !self.has_readers() {
                return;
            }
            moved.await;
        }
    }

    /// Counts so many octets before they are shown; false if there is no room for all of them.
    pub(super) fn reserve(&self, octets: u64) -> bool {
        let mut state = self.lock();
        state.reserved += octets;
        state.charge.grow(octets)
    }

    pub(super) fn push(&self, frame: Bytes) {
        let mut state = self.lock();
        let ahead = state.reserved.min(frame.len() as u64);
        state.reserved -= ahead;
        state.charge.grow(frame.len() as u64 - ahead);
        state.frames.push_back(frame);
        wake(state);
    }

    pub(super) fn complete(&self, trailers: Option<HeaderMap>) {
        self.end(End::Complete(trailers));
    }

    /// The body ends as an error, unless it has ended already.
    pub(super) fn break_off(&self) {
        self.end(End::Broken);
    }

    fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        wake(state);
    }

    /// Stops keeping the body from its start.
    pub(super) fn pass(&self) {
        let mut state = self.lock();
        state.passing = true;
        state.drop_seen();
    }

    /// Waits until no more than `most` bytes wait for one reader, or `shared` for several; false when all
    /// of them have left.
    pub(super) async fn room(&self, most: u64, shared: u64) -> bool {
        loop {
            let moved = self.moved.notified();
            {
                let state = self.lock();
                if state.seats.is_empty() {
                    return false;
                }
                let most = if state.seats.len() > 1 { shared } else { most };
                if state.charge.held() <= most {
                    return true;
                }
            }
            if tokio::time::timeout(PATIENCE, moved).await.is_err() {
                self.cut_laggards();
            }
        }
    }

    /// Cuts off the slowest readers where a faster one waits; a lone slow reader is no trouble.
    fn cut_laggards(&self) {
        let mut state = self.lock();
        let slowest = state.slowest();
        if state
            .seats
            .iter()
            .any(|(_, reader)| !reader.cut && reader.next > slowest)
        {
            for (_, reader) in &mut state.seats {
                reader.cut |= reader.next == slowest;
            }
            state.drop_seen();
            wake(state);
            self.moved.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Poisoned only by a panic of ours between two consistent states.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes all readers, after the lock is gone.
fn wake(mut state: MutexGuard<'_, State>) {
    let waiting = |(_, reader): (_, &mut Reader)| reader.waker.take();
    let wakers: Vec<Waker> = state.seats.iter_mut().filter_map(waiting).collect();
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

impl State {
    fn slowest(&self) -> usize {
        let reading = self.seats.iter().filter(|(_, reader)| !reader.cut);
        reading
            .map(|(_, reader)| reader.next)
            .min()
            .unwrap_or(usize::MAX)
    }

    fn drop_seen(&mut self) {
        let slowest = self.slowest();
        while self.first < slowest
            && let Some(frame) = self.frames.pop_front()
        {
            self.charge.shrink(frame.len() as u64);
            self.first += 1;
        }
    }
}

/// One reader's place at a fill; leaving it is dropping it.
pub(crate) struct Seat {
    fill: Arc<Fill>,
    index: usize,
}

/// Why a shared body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The origin's body did.
    Origin,
    /// This reader held up others.
    TooSlow,
}

impl Seat {
    /// Waits for the head's verdict.
    ///
    /// # Cancel safety
    /// Safe: nothing but the seat is held.
    pub(crate) async fn headline(&self) -> Headline {
        let mut headline = self.fill.headline.subscribe();
        match headline
            .wait_for(|headline| !matches!(headline, Headline::Pending))
            .await
        {
            Ok(headline) => headline.clone(),
            // Cannot happen while this seat holds the sender; if it did, go alone.
            Err(_) => Headline::Released,
        }
    }

    /// Whether there is nothing more to read.
    pub(crate) fn is_finished(&self) -> bool {
        let state = self.fill.lock();
        let next = state.seats[self.index].next;
        match &state.end {
            Some(End::Complete(None)) => next >= state.first + state.frames.len(),
            Some(End::Complete(Some(_))) => next > state.first + state.frames.len(),
            _ => false,
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let mut guard = self.fill.lock();
        let state = &mut *guard;
        let reader = &mut state.seats[self.index];
        if reader.cut {
            return Poll::Ready(Some(Err(Broken::TooSlow)));
        }
        if let Some(frame) = state.frames.get(reader.next.wrapping_sub(state.first)) {
            let frame = Frame::data(frame.clone());
            reader.next += 1;
            if state.passing {
                state.drop_seen();
                self.fill.moved.notify_waiters();
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        // One past the last frame stands for the trailers, two for the end.
        match &state.end {
            None => {
                reader.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(End::Broken) => Poll::Ready(Some(Err(Broken::Origin))),
            Some(End::Complete(Some(trailers)))
                if reader.next == state.first + state.frames.len() =>
            {
                reader.next += 1;
                Poll::Ready(Some(Ok(Frame::trailers(trailers.clone()))))
            }
            Some(End::Complete(_)) => Poll::Ready(None),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.fill.lock();
        state.seats.remove(self.index);
        if state.passing {
            state.drop_seen();
        }
        self.fill.moved.notify_waiters();
    }
}
