//! Where the number of bytes in use comes from.

use crate::heap;

/// Tells how many bytes of memory the process uses now.
///
/// It is asked once for a request without a body, twice or more for one with a body, and for each frame: nanoseconds
/// are right, microseconds are felt. Any `Fn() -> u64` is a source.
pub trait Source: Send + Sync + 'static {
    /// Bytes in use at this moment.
    fn bytes(&self) -> u64;
}

impl<F: Fn() -> u64 + Send + Sync + 'static> Source for F {
    fn bytes(&self) -> u64 {
        self()
    }
}

/// The [`Heap`](crate::Heap) if one is installed, else the resident set, else nothing: then reservations alone count.
pub(crate) fn default_source() -> Box<dyn Source> {
    if heap::allocated().is_some() {
        return Box::new(|| heap::allocated().unwrap_or(0));
    }
    #[cfg(target_os = "linux")]
    if let Ok(resident) = resident::Resident::open() {
        return Box::new(resident);
    }
    Box::new(|| 0)
}

#[cfg(target_os = "linux")]
mod resident {
    use std::{
        fs::{self, File},
        io::{Error, ErrorKind, Result},
        os::unix::fs::FileExt,
    };

    use super::Source;

    /// The resident set size by `/proc/self/statm`, through a descriptor that stays open: about a microsecond.
    pub(super) struct Resident {
        statm: File,
        page: u64,
    }

    impl Resident {
        pub(super) fn open() -> Result<Self> {
            let resident = Self {
                statm: File::open("/proc/self/statm")?,
                page: page_size()?,
            };
            resident.read()?;
            Ok(resident)
        }

        fn read(&self) -> Result<u64> {
            let mut line = [0; 128];
            let length = self.statm.read_at(&mut line, 0)?;
            let pages = std::str::from_utf8(&line[..length])
                .ok()
                .and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok())
                .ok_or(ErrorKind::InvalidData)?;
            Ok(pages.saturating_mul(self.page))
        }
    }

    impl Source for Resident {
        /// Zero if the kernel refuses: the guard then goes by its reservations.
        fn bytes(&self) -> u64 {
            self.read().unwrap_or(0)
        }
    }

    /// From the auxiliary vector: pairs of machine words, `AT_PAGESZ` being 6 (getauxval(3)).
    fn page_size() -> Result<u64> {
        const AT_PAGESZ: usize = 6;
        const WORD: usize = size_of::<usize>();
        let vector = fs::read("/proc/self/auxv")?;
        let word = |bytes: &[u8]| bytes.try_into().map(usize::from_ne_bytes).unwrap_or(0);
        vector
            .chunks_exact(2 * WORD)
            .find(|pair| word(&pair[..WORD]) == AT_PAGESZ)
            .map(|pair| word(&pair[WORD..]) as u64)
            .ok_or_else(|| Error::from(ErrorKind::NotFound))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_resident_set_follows_what_the_process_touches() {
            let resident = Resident::open().unwrap();
            let before = resident.bytes();
            assert!(before > 0);
            let block = vec![1_u8; 32 << 20];
            let after = resident.bytes();
            assert!(
                after >= before + (24 << 20),
                "{before} -> {after} with {} bytes touched",
                block.len()
            );
        }

        #[test]
        fn pages_are_a_power_of_two_of_at_least_4_kib() {
            let page = page_size().unwrap();
            assert!(page >= 4096 && page.is_power_of_two(), "{page}");
        }
    }
}
