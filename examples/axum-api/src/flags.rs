//! The command line.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use bytesize::ByteSize;
use cache_layer::CacheLayer;
use clap::{CommandFactory, Parser, error::ErrorKind};
use memguard_layer::{HeapBudget, MemGuardLayer};
use ratelimit_layer::Quota;

use crate::adaptive::AdaptiveBy;
use crate::client::ClientFlags;
use crate::rate;

/// A small JSON API that is cached, limited and guarded.
#[derive(Debug, Parser)]
#[command(name = "axum-api", version)]
pub(crate) struct Flags {
    /// Address to serve on; port 0 takes any free one; repeatable, such as 0.0.0.0:3000 and
    /// `[::]:3000`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Bytes the cache may hold; 0 turns it off.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = cache_bytes)]
    pub(crate) cache_bytes: ByteSize,
    /// Largest response the cache stores.
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    pub(crate) max_entry_bytes: ByteSize,
    /// Lifetime of responses that name none; without it they are not stored.
    #[arg(long, value_name = "DURATION")]
    pub(crate) default_ttl: Option<humantime::Duration>,
    /// Requests each client may make, such as 10/s,1000/h: up to 8 quotas, all of which hold.
    #[arg(
        long,
        value_name = "QUOTA",
        default_value = "100/s burst 200",
        value_delimiter = ','
    )]
    pub(crate) rate: Vec<Quota>,
    /// Requests a client may make at once after a pause, of the first quota; its own unless given.
    #[arg(long, value_name = "N")]
    pub(crate) burst: Option<NonZeroU32>,
    /// Counts in /stats what --rate would refuse, and refuses nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Requests each client may have in flight.
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) concurrency: NonZeroUsize,
    /// Lets all clients together have as many requests in flight as the handlers can bear, by their
    /// round trips (gradient2, vegas) or their errors and time-outs (aimd); gradient2 where no value is
    /// given.
    #[arg(
        long,
        value_name = "ALGORITHM",
        num_args = 0..=1,
        default_value = "off",
        default_missing_value = "gradient2"
    )]
    pub(crate) adaptive: AdaptiveBy,
    /// How long a request over --concurrency or --adaptive waits for its turn, as many of a client as
    /// may be in flight; 0s refuses it at once.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = within_a_day)]
    pub(crate) concurrency_wait: humantime::Duration,
    /// Heap bytes at which the cache gives back and requests are refused: 256MiB, or 60% of the
    /// cgroup's limit.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = heap_budget)]
    pub(crate) heap_budget: ByteSize,
    /// Answers /debug/pprof/heap, to whoever asks; needs the feature `pprof`.
    #[arg(long)]
    pub(crate) pprof: bool,
    /// Directory for a heap profile when the heap is nearly full; needs the feature `pprof`.
    #[arg(long, value_name = "DIR", value_parser = profile_directory)]
    pub(crate) profile_directory: Option<PathBuf>,
    /// Whom a request counts for.
    #[command(flatten)]
    pub(crate) client: ClientFlags,
}

// The layers' own bounds, checked here so that a mistake is a message and no panic.

fn cache_bytes(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    match CacheLayer::try_new(size.as_u64()) {
        Err(why) if size.as_u64() > 0 => Err(why.to_string()),
        _ => Ok(size),
    }
}

fn within_a_day(text: &str) -> Result<humantime::Duration, String> {
    let time: humantime::Duration = text.parse().map_err(|_| "must be such as 500ms or 2s")?;
    match time.as_secs() {
        0..86_400 => Ok(time),
        _ => Err("must be less than a day".to_owned()),
    }
}

fn heap_budget(text: &str) -> Result<ByteSize, String> {
    text.parse()
        .and_then(HeapBudget::resolve)
        .and_then(|bytes| MemGuardLayer::try_new(bytes).map(|_| ByteSize(bytes)))
        .map_err(|why| why.to_string())
}

fn profile_directory(text: &str) -> Result<PathBuf, String> {
    MemGuardLayer::new(1)
        .profile_at_hard(text)
        .map(|_| PathBuf::from(text))
        .map_err(|why| why.to_string())
}

impl Flags {
    /// The command line; ends the program where it asks for help or cannot be used.
    pub(crate) fn read() -> Self {
        let mut flags = Self::parse();
        if let Err(why) = flags.apply_and_check() {
            Self::command()
                .error(ErrorKind::ValueValidation, why)
                .exit()
        }
        flags
    }

    /// What one value alone cannot tell: the burst belongs to a rate, and a layer takes only so many.
    fn apply_and_check(&mut self) -> Result<(), String> {
        if let (Some(burst), Some(rate)) = (self.burst, self.rate.first_mut()) {
            *rate = rate
                .try_burst(burst.get())
                .map_err(|why| format!("--burst: {why}"))?;
        }
        rate::check(&self.rate)
    }
}
