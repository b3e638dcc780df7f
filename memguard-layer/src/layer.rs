//! The layer and its settings.

use std::{fmt, sync::Arc};

use http::Response;
use tower_layer::Layer;

use crate::{
    ConfigError, Head, MemGuard, MemGuardHandle, Overloaded, ProblemDetails, Thresholds,
    admission::{LARGEST, Rules},
    guard::Guard,
    service::Settings,
};

/// Guards the services it wraps by one budget of heap bytes; see the [crate's documentation](crate).
///
/// Clones, and all services made from them, share the budget, the source, the reclaimers and the counters.
#[must_use = "a layer does nothing until it wraps a service"]
pub struct MemGuardLayer<R = ProblemDetails> {
    settings: Settings<R>,
}

impl MemGuardLayer {
    /// Keeps the heap and what is promised from it within `budget_bytes`, from 1 to 2⁴⁶ - 1.
    ///
    /// Choose it well below what kills the process: half of the container's limit leaves room for what the allocator
    /// keeps, for stacks and for the kernel's buffers. [`from_cgroup`](Self::from_cgroup) and
    /// [`from_env`](Self::from_env) size it where the process runs.
    ///
    /// # Panics
    ///
    /// If `budget_bytes` is out of range; [`try_new`](Self::try_new) returns the error instead.
    #[track_caller]
    pub fn new(budget_bytes: u64) -> Self {
        match Self::try_new(budget_bytes) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`new`](Self::new), for a budget that comes from configuration.
    ///
    /// # Errors
    ///
    /// If `budget_bytes` is 0 or larger than 2⁴⁶ - 1.
    pub fn try_new(budget_bytes: u64) -> Result<Self, ConfigError> {
        if !(1..=LARGEST).contains(&budget_bytes) {
            return Err(ConfigError::new(format!(
                "budget_bytes is {budget_bytes}, but must be from 1 to {LARGEST} (64 TiB)"
            )));
        }
        let guard = Arc::new(Guard::new(budget_bytes));
        Ok(Self {
            settings: Settings {
                guard,
                rules: Rules::default(),
                rejection: Arc::new(ProblemDetails),
            },
        })
    }
}

impl<R> MemGuardLayer<R> {
    /// Where levels begin and end, instead of 75/70, 85/80 and 95/88 % of the budget.
    ///
    /// # Panics
    ///
    /// If they are out of order or range, which [`try_thresholds`](Self::try_thresholds) returns as an error; or if a handle
    /// was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn thresholds(self, thresholds: Thresholds) -> Self {
        match self.try_thresholds(thresholds) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`thresholds`](Self::thresholds), for those that come from configuration.
    ///
    /// # Errors
    ///
    /// If a level is not entered at 1 to 100 % and left below less, if one is entered no higher than the one before it or
    /// left below it, or if the dwell time is longer than an hour.
    ///
    /// # Panics
    ///
    /// If a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn try_thresholds(mut self, thresholds: Thresholds) -> Result<Self, ConfigError> {
        thresholds.check()?;
        self.guard_mut().set_thresholds(&thresholds);
        Ok(self)
    }

    pub(crate) const fn rules_mut(&mut self) -> &mut Rules {
        &mut self.settings.rules
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.settings.guard
    }

    /// The guard, while nobody else has it.
    #[track_caller]
    pub(crate) fn guard_mut(&mut self) -> &mut Guard {
        Arc::get_mut(&mut self.settings.guard)
            .expect("a guard is set up before a handle, a clone or a service is made of its layer")
    }

    /// Asks `reclaim` to give bytes back before a request is refused, and in the background from
    /// [`Level::Soft`](crate::Level::Soft) on.
    ///
    /// It gets the number of bytes wanted and returns how many it freed. Called again, this adds one more, asked for
    /// what those before it did not free: the one to lose least comes first. Expired entries should go before others,
    /// as they do in `cache_layer`'s `reclaim`; what a cache should always keep is for the closure to hold back.
    ///
    /// At most one runs at a time, on tokio's blocking threads; without a tokio runtime (with its timer) none is asked. A
    /// round asks in slices, so small that each call takes less than 500 µs, until enough is freed or nobody gives a
    /// tenth of a slice any more. Who waits for it, and for how long, is a matter of the [`policy`](Self::policy).
    ///
    /// A round is in vain if it freed less than a tenth of what was asked, or if the source did not fall by a tenth of it
    /// for the third time in a row. Nobody is then asked for a second, and refusals do not wait; after several in a row
    /// for two, four, then eight seconds. A level below [`Soft`](crate::Level::Soft) forgets them.
    ///
    /// Works at any time, also for services that are already running.
    pub fn reclaim_with(self, reclaim: impl Fn(u64) -> u64 + Send + Sync + 'static) -> Self {
        self.settings.guard.evictor().add(Arc::new(reclaim));
        self
    }

    /// Answers refused requests by `reject` instead of [`ProblemDetails`].
    ///
    /// It gets the head of the request, of which the guard therefore keeps a copy while the request has a body that
    /// might be ended. The [`Overloaded`] is put into the extensions of the response afterwards.
    pub fn with_rejection<F, B>(self, reject: F) -> MemGuardLayer<F>
    where
        F: Fn(&Head<'_>, &Overloaded) -> Response<B>,
    {
        let Settings {
            guard,
            rules,
            rejection: _,
        } = self.settings;
        MemGuardLayer {
            settings: Settings {
                guard,
                rules,
                rejection: Arc::new(reject),
            },
        }
    }

    /// The way to the guard's figures, and to reservations for the application's own jobs.
    #[must_use]
    pub fn handle(&self) -> MemGuardHandle {
        MemGuardHandle::of(Arc::clone(&self.settings.guard))
    }
}

impl<R> Clone for MemGuardLayer<R> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings.clone(),
        }
    }
}

impl<R> fmt::Debug for MemGuardLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemGuardLayer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<S, R> Layer<S> for MemGuardLayer<R> {
    type Service = MemGuard<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        MemGuard::new(inner, Arc::new(self.settings.clone()))
    }
}
