//! How a guard reads its source: each time, or by samples.

use std::sync::Arc;

use super::{Source, default_source, sample::Sample, sampler::Sampler};

pub(crate) struct Measure {
    source: Arc<dyn Source>,
    sampled: Option<Sampling>,
}

struct Sampling {
    sample: Arc<Sample>,
    sampler: Sampler,
}

impl Measure {
    pub(crate) fn of(source: Box<dyn Source>) -> Self {
        let source = Arc::from(source);
        let sampled = Sampling::start(&source);
        Self { source, sampled }
    }

    pub(crate) fn by_default() -> Self {
        Self::of(default_source())
    }

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

    /// As [`bytes`](Self::bytes), by a sample taken now: for threads that may take their time.
    pub(crate) fn fresh(&self) -> u64 {
        if let Some(sampled) = &self.sampled {
            sampled.sample.take(|| self.source.bytes());
        }
        self.bytes()
    }

    /// Asks for a sample soon: the last one leaves no room.
    pub(crate) fn hurry(&self) {
        if let Some(sampled) = &self.sampled {
            sampled.sampler.hurry();
        }
    }

    /// Counts bytes that are about to leave a reservation.
    #[inline]
    pub(crate) fn release(&self, bytes: u64) {
        if let Some(sampled) = &self.sampled {
            sampled.sample.release(bytes);
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
