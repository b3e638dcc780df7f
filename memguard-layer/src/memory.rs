//! The layer's settings of memory itself: what is read of it, and what is done when it is nearly full.

use std::{path::PathBuf, time::Duration};

use crate::{
    ConfigError, MemGuardLayer, Source, cgroup::Cgroup, hard::HardJob, profile, source::Chosen,
};

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
        let set = self.guard().set_source(Box::new(source));
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
        let set = self.guard().set_cgroup(cgroup);
        assert!(
            set.is_ok(),
            "the cgroup is set before the guard is first used"
        );
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

    /// Whether the largest request bodies are ended at [`Level::Hard`](crate::Level::Hard). Default: true.
    ///
    /// If the level is still `Hard` after up to a tenth of a second, and caches have nothing more to give, those bodies that
    /// are still being read end with an error, the largest first, until what they hold brings the heap below where `Hard`
    /// is left; their clients get the guard's answer. Bodies of less than 64 KiB are left alone, and those of routes with a
    /// [`body_factor`](Self::body_factor) of 0 or 1, of which the guard does not know what is kept.
    ///
    /// # Panics
    ///
    /// If a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn end_bodies_at_hard(mut self, end: bool) -> Self {
        self.guard_mut().set_ends_bodies(end);
        self
    }

    /// How long the level must have been [`Hard`](crate::Level::Hard) for
    /// [`MemGuardHandle::ready`](crate::MemGuardHandle::ready) to say no. Default: 10 s.
    ///
    /// # Panics
    ///
    /// If a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn unready_after(mut self, time: Duration) -> Self {
        self.guard_mut().set_unready_after(time);
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
}
