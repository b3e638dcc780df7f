//! How a guard reads its source, each time or by samples, and what its cgroup adds to that.

use std::sync::Arc;

use super::{Sample, Sampler, Source, default_source};
use crate::{
    cgroup::{Ceiling, Cgroup},
    level::Strain,
};

pub(crate) struct Measure {
    source: Arc<dyn Source>,
    sampled: Option<Sampling>,
    ceiling: Option<Ceiling>,
}

struct Sampling {
    sample: Arc<Sample>,
    sampler: Sampler,
}

/// What a measure is made of, until it is.
pub(crate) struct Choice {
    /// `None` for the best that is there.
    pub(crate) source: Option<Box<dyn Source>>,
    pub(crate) cgroup: Chosen,
}

pub(crate) enum Chosen {
    /// The process's, if it has a limit.
    Find,
    This(Cgroup),
    No,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            source: None,
            cgroup: Chosen::Find,
        }
    }
}

impl From<Choice> for Measure {
    fn from(choice: Choice) -> Self {
        let source = Arc::from(choice.source.unwrap_or_else(default_source));
        let cgroup = match choice.cgroup {
            Chosen::Find => Cgroup::new().ok().filter(|cgroup| cgroup.limit().is_some()),
            Chosen::This(cgroup) => Some(cgroup),
            Chosen::No => None,
        };
        Self {
            sampled: Sampling::start(&source),
            // Without a thread to spare there is no second bound.
            ceiling: cgroup.and_then(|cgroup| Ceiling::start(cgroup).ok()),
            source,
        }
    }
}

impl Measure {
    pub(crate) fn name(&self) -> &'static str {
        self.source.name()
    }

    /// Bytes in use now, or at most, if the source is sampled.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        match &self.sampled {
            None => self.source.bytes(),
            Some(sampled) => sampled.sample.bytes(),
        }
    }

    /// Bytes in use of `budget`, or so many that no more is left of it than the cgroup has.
    #[inline]
    pub(crate) fn bytes_of(&self, budget: u64) -> u64 {
        let bytes = self.bytes();
        match &self.ceiling {
            None => bytes,
            Some(ceiling) => bytes.max(ceiling.seen().used_of(budget)),
        }
    }

    /// What the cgroup adds to the level by the bytes.
    #[inline]
    pub(crate) fn strain(&self) -> Strain {
        match &self.ceiling {
            None => Strain::default(),
            Some(ceiling) => ceiling.seen().strain(),
        }
    }

    /// As [`bytes`](Self::bytes), by a sample taken now: for threads that may take their time.
    pub(crate) fn fresh(&self) -> u64 {
        if let Some(sampled) = &self.sampled {
            sampled.sample.take(|| self.source.bytes());
        }
        self.bytes()
    }

    /// Asks for samples soon: the last ones leave no room.
    pub(crate) fn hurry(&self) {
        if let Some(sampled) = &self.sampled {
            sampled.sampler.hurry();
        }
        if let Some(ceiling) = &self.ceiling {
            ceiling.hurry();
        }
    }

    /// Counts bytes that are about to leave a reservation.
    #[inline]
    pub(crate) fn release(&self, bytes: u64) {
        if let Some(sampled) = &self.sampled {
            sampled.sample.release(bytes);
        }
        if let Some(ceiling) = &self.ceiling {
            ceiling.seen().release(bytes);
        }
    }
}

impl Sampling {
    /// `None` if the source is not to be sampled, or there is no thread for it: then it is asked each time.
    fn start(source: &Arc<dyn Source>) -> Option<Self> {
        let period = source.period()?;
        let sample = Arc::new(Sample::new());
        sample.take(|| source.bytes());
        let job = {
            let (source, sample) = (Arc::clone(source), Arc::clone(&sample));
            move || sample.take(|| source.bytes())
        };
        let sampler = Sampler::start("memguard-sample", period, job).ok()?;
        Some(Self { sample, sampler })
    }
}
