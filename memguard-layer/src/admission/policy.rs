//! What becomes of a request for which there is no room.

use std::time::Duration;

use crate::ConfigError;

/// What becomes of a request for which there is no room, and of a body that outgrows it.
///
/// Whoever waits holds nothing of the budget but what a half-read body has been promised already. Such bodies get room first,
/// then new requests, each in the order in which they came to wait; nobody overtakes a line. A request without a body that
/// waits for [`Level::Hard`](crate::Level::Hard) to end stands in no line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// It is refused at once. Caches are asked in the background only, from [`Level::Soft`](crate::Level::Soft) on.
    Reject,
    /// It waits while caches give back, up to 250 ms, and is refused when they have no more. At most 1,024 requests wait.
    #[default]
    EvictThenReject,
    /// It waits for room, whoever makes it: caches, or other requests that end. The latency of some is better than the
    /// refusal of some when loads come in bursts.
    ///
    /// If all that is promised is held by half-read bodies that wait for each other, one of them ends at once, so that the
    /// others go on: the one that holds most, but for the first in line.
    Delay {
        /// How long it waits at most, from 1 ms to an hour.
        wait: Duration,
        /// How many requests wait at most, half-read bodies apart; one more is refused. From 1.
        max_waiting: usize,
    },
}

/// The longest that anybody waits for room.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The longest that a request waits for caches.
const LONGEST_EVICTION: Duration = Duration::from_millis(250);

/// How long to wait for room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) wait: Duration,
    pub(crate) max_waiting: usize,
    /// Whether to wait on when caches have nothing more to give.
    pub(crate) insists: bool,
}

impl Policy {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self::Delay { wait, max_waiting } = self else {
            return Ok(());
        };
        let allowed = Duration::from_millis(1)..=LONGEST_WAIT;
        if !allowed.contains(wait) {
            return Err(ConfigError::new(format!(
                "wait is {wait:?}, but must be from 1 ms to an hour"
            )));
        }
        if *max_waiting == 0 {
            return Err(ConfigError::new(
                "max_waiting is 0, but must be at least 1".to_owned(),
            ));
        }
        Ok(())
    }

    /// `None`: nobody waits.
    pub(crate) const fn patience(&self) -> Option<Patience> {
        match *self {
            Self::Reject => None,
            Self::EvictThenReject => Some(Patience {
                wait: LONGEST_EVICTION,
                max_waiting: 1024,
                insists: false,
            }),
            Self::Delay { wait, max_waiting } => Some(Patience {
                wait,
                max_waiting,
                insists: true,
            }),
        }
    }
}
