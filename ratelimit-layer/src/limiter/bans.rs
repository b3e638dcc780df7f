//! Clients that are refused for a while whatever they have left.

use crate::algorithm::{Act, Gcra, Question};
use crate::table::{Ask, Table};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How many clients can be banned at once: 128 KiB. Beyond, the ban that ends first is forgotten.
const MOST: usize = 8_192;

/// When a client is banned without being told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BanAfter {
    pub(crate) refusals: u32,
    pub(crate) within: Duration,
    pub(crate) duration: Duration,
}

/// The moments at which bans end, by client.
#[derive(Debug)]
pub(crate) struct Bans {
    ends: Table,
    /// When the last of them ends: while there are none, nobody looks.
    last: AtomicU64,
    strikes: Option<Strikes>,
}

/// Refusals, counted as a token bucket counts units: who has none left is banned.
#[derive(Debug)]
struct Strikes {
    table: Table,
    gcra: Gcra,
    duration: u64,
}

#[derive(Clone, Copy)]
struct EndsIn {
    now: u64,
}

impl Ask for EndsIn {
    type Answer = u64;

    fn ask(self, end: u64) -> (Option<u64>, u64) {
        (None, end.saturating_sub(self.now))
    }

    fn in_debt(self, end: u64) -> bool {
        end > self.now
    }
}

#[derive(Clone, Copy)]
struct End {
    at: u64,
    now: u64,
}

impl Ask for End {
    type Answer = ();

    fn ask(self, end: u64) -> (Option<u64>, ()) {
        ((end < self.at).then_some(self.at), ())
    }

    fn in_debt(self, end: u64) -> bool {
        end > self.now
    }
}

impl Bans {
    pub(crate) fn new(after: Option<BanAfter>, clients: usize) -> Self {
        let strikes = after.map(|after| {
            let interval = nanos(after.within).div_ceil(u64::from(after.refusals));
            Strikes {
                table: Table::new(clients.min(MOST)),
                gcra: Gcra::new(interval, after.refusals),
                duration: nanos(after.duration),
            }
        });
        Self {
            ends: Table::new(clients.min(MOST)),
            last: AtomicU64::new(0),
            strikes,
        }
    }

    /// How long the client is still banned; 0: it is not.
    #[inline]
    pub(crate) fn left(&self, client: u64, now: u64) -> u64 {
        if self.last.load(Relaxed) <= now {
            return 0;
        }
        self.left_of(client, now)
    }

    #[cold]
    #[inline(never)]
    fn left_of(&self, client: u64, now: u64) -> u64 {
        self.ends.ask(client, EndsIn { now }).answer
    }

    pub(crate) fn ban(&self, client: u64, now: u64, duration: Duration) {
        let at = now.saturating_add(nanos(duration));
        // The ban first: who sees the end finds it.
        self.ends.ask(client, End { at, now });
        self.last.fetch_max(at, Relaxed);
    }

    /// Counts a refusal, and bans for one too many.
    pub(crate) fn strike(&self, client: u64, now: u64) {
        let Some(strikes) = &self.strikes else { return };
        let question = |act| Question {
            algorithm: strikes.gcra,
            now,
            act,
        };
        let left = strikes.table.ask(client, question(Act::Take(1))).answer;
        if !left.allowed || left.room < strikes.gcra.terms().0 {
            strikes.table.ask(client, question(Act::Forget));
            self.ban(client, now, Duration::from_nanos(strikes.duration));
        }
    }

    pub(crate) fn lift(&self, client: u64, now: u64) {
        let question = Question {
            algorithm: Gcra::new(1, 1),
            now,
            act: Act::Forget,
        };
        self.ends.ask(client, question);
        if let Some(strikes) = &self.strikes {
            strikes.table.ask(client, question);
        }
    }

    /// How many clients are banned.
    pub(crate) fn count(&self, now: u64) -> usize {
        self.ends.count(|end| end > now)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
