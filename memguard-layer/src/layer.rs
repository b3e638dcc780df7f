//! The layer and its settings.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use http::Response;
use tower_layer::Layer;

use crate::{
    ConfigError, Head, MemGuard, MemGuardHandle, Overloaded, Policy, Priority, ProblemDetails,
    Source, Thresholds,
    admission::{Factor, LARGEST, Rules},
    cgroup::Cgroup,
    guard::Guard,
    hard::HardJob,
    profile,
    service::Settings,
    source::Chosen,
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
    /// Where the number of bytes in use comes from; any `Fn() -> u64` will do.
    ///
    /// Default: the [`Heap`](crate::Heap) if one is installed; else jemalloc's statistics, with the feature `jemalloc`
    /// and if it is the process's allocator; else, on Linux, the resident set, which is slow to fall after bytes were
    /// freed; else nothing, and only reservations count. [`source`](crate::source) has them all.
    ///
    /// # Panics
    ///
    /// If a source was set before, or the guard is already in use.
    #[track_caller]
    pub fn source(self, source: impl Source) -> Self {
        let set = self.settings.guard.set_source(Box::new(source));
        assert!(
            set.is_ok(),
            "the source is set once, before the guard is first used"
        );
        self
    }

    /// Guards `cgroup` as its second bound: see [`cgroup`](crate::cgroup).
    ///
    /// Default: the process's own, if it or one above it has a limit.
    ///
    /// # Panics
    ///
    /// If the guard is already in use.
    #[track_caller]
    pub fn with_cgroup(self, cgroup: Cgroup) -> Self {
        self.choose_cgroup(Chosen::This(cgroup))
    }

    /// Looks at no cgroup: the source alone bounds what is admitted.
    ///
    /// # Panics
    ///
    /// If the guard is already in use.
    #[track_caller]
    pub fn without_cgroup(self) -> Self {
        self.choose_cgroup(Chosen::No)
    }

    #[track_caller]
    fn choose_cgroup(self, cgroup: Chosen) -> Self {
        let set = self.settings.guard.set_cgroup(cgroup);
        assert!(
            set.is_ok(),
            "the cgroup is set before the guard is first used"
        );
        self
    }

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

    /// The guard, while nobody else has it.
    #[track_caller]
    fn guard_mut(&mut self) -> &mut Guard {
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

    /// Calls `purge` at [`Level::Hard`](crate::Level::Hard), to make the allocator give back what it keeps: one of
    /// [`purge`](crate::purge)'s functions, or your own. Default: none.
    ///
    /// It runs on one of tokio's blocking threads, and then rests for a second at least and for 19 times as long as it
    /// took, so that it takes a twentieth of the time at most. Called again, this adds one more.
    ///
    /// ```
    /// # #[cfg(all(target_os = "linux", target_env = "gnu"))] {
    /// use memguard_layer::{MemGuardLayer, purge};
    ///
    /// let guard = MemGuardLayer::new(256 << 20).purge_with(purge::glibc);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn purge_with(mut self, purge: impl Fn() + Send + Sync + 'static) -> Self {
        let rest = |took: Duration| took.saturating_mul(19).max(Duration::from_secs(1));
        self.guard_mut().add_purge(HardJob::new(purge, rest));
        self
    }

    /// Writes a [heap profile](crate::profile) into `directory` at [`Level::Hard`](crate::Level::Hard): `heap-` and the
    /// time in milliseconds since 1970, `.pb.gz`. Default: none.
    ///
    /// One is written when the level becomes `Hard`, and another ten minutes later at the earliest. It is made on one of
    /// tokio's blocking threads. Old files stay; a failure is told to `tracing`, with this crate's feature of that name.
    ///
    /// # Errors
    ///
    /// If `directory` is none, or something is missing that [`profile`](crate::profile) lists.
    ///
    /// # Panics
    ///
    /// If a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn profile_at_hard(mut self, directory: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let directory = directory.into();
        if !directory.is_dir() {
            return Err(ConfigError::new(format!(
                "profiles are to be written into {}, but that is no directory",
                directory.display()
            )));
        }
        profile::available().map_err(|error| ConfigError::new(error.to_string()))?;
        let write = move || {
            let _written = profile::dump(&directory);
            #[cfg(feature = "tracing")]
            match _written {
                Ok(file) => {
                    tracing::warn!(file = %file.display(), "the heap is nearly full: profile written")
                }
                Err(error) => tracing::error!(%error, "the heap is nearly full: no profile"),
            }
        };
        let rest = |_| Duration::from_secs(600);
        self.guard_mut().set_profiles(HardJob::new(write, rest));
        Ok(self)
    }

    /// What becomes of a request for which there is no room. Default: [`Policy::EvictThenReject`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use memguard_layer::{MemGuardLayer, Policy};
    ///
    /// let wait = Duration::from_secs(2);
    /// let guard = MemGuardLayer::new(256 << 20).policy(Policy::Delay { wait, max_waiting: 500 });
    /// ```
    ///
    /// # Panics
    ///
    /// If the wait is not from 1 ms to an hour, or nobody may wait, which [`try_policy`](Self::try_policy) returns as an
    /// error; or if a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn policy(self, policy: Policy) -> Self {
        match self.try_policy(policy) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`policy`](Self::policy), for one that comes from configuration.
    ///
    /// # Errors
    ///
    /// If the wait is not from 1 ms to an hour, or nobody may wait.
    ///
    /// # Panics
    ///
    /// If a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn try_policy(mut self, policy: Policy) -> Result<Self, ConfigError> {
        policy.check()?;
        self.guard_mut().set_policy(policy);
        Ok(self)
    }

    /// How many times its own length a request body costs at its worst, while it is handled. Default: 2.
    ///
    /// 2 is right for a handler that takes the whole body: it holds the frames and the buffer they are joined in for a
    /// moment. 1 suits handlers that keep the frames, or stream them on to one that may be slow. Parsing into a tree may
    /// ask for more. 0 is for handlers that hand each frame on before they take the next, as a proxy does: such a body is
    /// metered as one of unknown length and may be larger than the budget.
    pub fn body_factor(mut self, factor: u32) -> Self {
        self.settings.rules.factor = Factor::Always(factor);
        self
    }

    /// As [`body_factor`](Self::body_factor), for each route its own.
    ///
    /// ```
    /// # use memguard_layer::MemGuardLayer;
    /// let guard = MemGuardLayer::new(256 << 20).body_factor_by(|head| match head.uri.path() {
    ///     "/proxy" => 0,
    ///     "/import" => 5, // JSON, parsed into a tree
    ///     _ => 2,
    /// });
    /// ```
    pub fn body_factor_by(mut self, by: impl Fn(&Head<'_>) -> u32 + Send + Sync + 'static) -> Self {
        self.settings.rules.factor = Factor::By(Arc::new(by));
        self
    }

    /// How many bytes a handler allocates by itself: the response it builds, a result set, an image it decodes. Default: 0.
    ///
    /// They are promised when the request is admitted, on top of what its body costs, until the head of its response is
    /// ready; what it made is in the heap by then. Without it nothing is reserved for a request without a body, and a
    /// thousand of them may wait for a database together before each builds its megabyte.
    ///
    /// ```
    /// # use memguard_layer::MemGuardLayer;
    /// let guard = MemGuardLayer::new(256 << 20).handler_bytes(|head| match head.uri.path() {
    ///     "/report" => 8 << 20,
    ///     _ => 0,
    /// });
    /// ```
    pub fn handler_bytes(mut self, by: impl Fn(&Head<'_>) -> u64 + Send + Sync + 'static) -> Self {
        self.settings.rules.handler = Some(Arc::new(by));
        self
    }

    /// Lets requests pass always and unmetered for which `exempt` is true: health checks. Default: none.
    pub fn exempt(mut self, exempt: impl Fn(&Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.settings.rules.exempt = Some(Arc::new(exempt));
        self
    }

    /// How much it matters to answer a request. Default: [`Priority::Normal`] for all.
    ///
    /// Those of low priority are shed before others have to be refused, once caches have nothing more to give: none at
    /// 85 % of the budget, where [`Level::Soft`](crate::Level::Soft) begins, all at 95 %, where
    /// [`Level::Hard`](crate::Level::Hard) does, and a share of them at random between. For a request without a body it
    /// is the heap that counts, for others the heap with all that is promised and what they would need themselves.
    ///
    /// ```
    /// # use memguard_layer::{MemGuardLayer, Priority};
    /// let guard = MemGuardLayer::new(256 << 20).priority(|head| match head.headers.get("sec-purpose") {
    ///     Some(purpose) if purpose.as_bytes().starts_with(b"prefetch") => Priority::Low,
    ///     _ => Priority::Normal,
    /// });
    /// ```
    pub fn priority(mut self, by: impl Fn(&Head<'_>) -> Priority + Send + Sync + 'static) -> Self {
        self.settings.rules.priority = Some(Arc::new(by));
        self
    }

    /// What a refused client is told to wait at least, in whole seconds rounded up, at least 1. Default: 1 s.
    ///
    /// # Panics
    ///
    /// If a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.guard_mut().set_retry_after(delay);
        self
    }

    /// How much longer a refused client may be told to wait, each by a random part of it, so that clients refused together
    /// do not come back together. Default: 2 s.
    ///
    /// # Panics
    ///
    /// If a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn retry_jitter(mut self, jitter: Duration) -> Self {
        self.guard_mut().set_retry_jitter(jitter);
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
