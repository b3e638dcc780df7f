//! The resident set of the process.

use std::{
    fs::{self, File},
    io::{Error, ErrorKind, Result},
    os::unix::fs::FileExt,
};

use super::Source;
use crate::ConfigError;

/// The resident set of the process, by `/proc/self/statm`; Linux only.
///
/// Read through a descriptor that stays open: about a microsecond. Memory that was freed and stays with the allocator
/// counts, so this is a ceiling rather than a measure: caches that give back may not show in it. 0 if the kernel
/// refuses: the guard then goes by its reservations.
#[derive(Debug)]
pub struct Resident {
    statm: File,
    page: u64,
}

impl Resident {
    /// Opens the process's own figures.
    ///
    /// # Errors
    ///
    /// If `/proc/self/statm` cannot be read.
    pub fn new() -> std::result::Result<Self, ConfigError> {
        Self::open().map_err(|error| {
            ConfigError::new(format!(
                "the resident set is read from /proc/self/statm, which does not work here: {error}"
            ))
        })
    }

    fn open() -> Result<Self> {
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
    fn bytes(&self) -> u64 {
        self.read().unwrap_or(0)
    }

    fn name(&self) -> &'static str {
        "resident set"
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
