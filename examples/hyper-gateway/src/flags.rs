//! The command line: what can be set, what is allowed, and what it is when left out.

mod adaptive;
mod cache;
mod client;
mod keys;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use http::uri::Authority;
use memguard_layer::MemGuardLayer;
use ratelimit_layer::Quota;

use crate::rate;

pub use adaptive::AdaptiveBy;
pub use cache::CacheFlags;
pub use client::ClientFlags;
pub use keys::KeyFlags;
use values::{address, count, duration, heap_budget, upstream, within_a_day};

/// A caching, limiting, guarding reverse proxy.
#[derive(Clone, Debug, Parser)]
#[command(name = "hyper-gateway", version)]
pub struct Flags {
    /// Address to serve on; port 0 takes any free one; repeatable, such as 0.0.0.0:8080 and
    /// `[::]:8080`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: Vec<SocketAddr>,

    /// Server to pass requests to, such as `http://127.0.0.1:9000`.
    #[arg(long, value_name = "URL", value_parser = upstream)]
    pub upstream: Authority,

    /// How long the upstream may take to the response head, and between two pieces of a body.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub upstream_timeout: Duration,

    /// What is cached, for how long and for whom.
    #[command(flatten)]
    pub cache: CacheFlags,

    /// What requests share a stored response.
    #[command(flatten)]
    pub keys: KeyFlags,

    /// Requests each client may make, such as 100/s or 10/s,1000/h: up to 8 quotas, all of which
    /// hold; off unless given.
    #[arg(long, value_name = "QUOTA", value_delimiter = ',')]
    pub rate: Vec<Quota>,

    /// Requests a client may make at once after a pause, of the first quota; needs --rate.
    #[arg(long, value_name = "N", value_parser = count::<NonZeroU32>)]
    pub burst: Option<NonZeroU32>,

    /// Counts in /_gateway/stats what --rate would refuse, and refuses nothing.
    #[arg(long, requires = "rate")]
    pub dry_run: bool,

    /// Requests each client may have in flight; off unless given.
    #[arg(long, value_name = "N", value_parser = count::<NonZeroUsize>)]
    pub concurrency: Option<NonZeroUsize>,

    /// Lets all clients together have as many requests in flight as the upstream can bear, by its round
    /// trips (gradient2, vegas) or its errors and time-outs (aimd); gradient2 where no value is given.
    #[arg(
        long,
        value_name = "ALGORITHM",
        num_args = 0..=1,
        default_value = "off",
        default_missing_value = "gradient2"
    )]
    pub adaptive: AdaptiveBy,

    /// How long a request over --concurrency or --adaptive waits for its turn, as many of a client as
    /// may be in flight; needs one of them; refused at once unless given.
    #[arg(long, value_name = "DURATION", value_parser = within_a_day)]
    pub concurrency_wait: Option<Duration>,

    /// How long a client may leave a response unread and keep its place; needs --concurrency or
    /// --adaptive; for as long as it likes unless given.
    #[arg(long, value_name = "DURATION", value_parser = within_a_day)]
    pub concurrency_idle: Option<Duration>,

    /// Heap bytes at which the cache gives back and requests are refused, such as 256MiB, or 60% of
    /// the cgroup's limit; off unless given.
    #[arg(long, value_name = "SIZE", value_parser = heap_budget)]
    pub heap_budget: Option<u64>,

    /// Directory for a heap profile when the heap is nearly full; needs --heap-budget, and the
    /// feature `pprof`.
    #[arg(long, value_name = "DIR")]
    pub profile_directory: Option<PathBuf>,

    /// Whom a request counts for.
    #[command(flatten)]
    pub client: ClientFlags,

    /// Address of a second listener with /healthz, /readyz, /stats, /graphs and /debug/pprof/heap; off unless given.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub admin: Option<SocketAddr>,
}

impl Flags {
    /// Reads the command line, the program's name first; the burst becomes part of the rate.
    ///
    /// # Errors
    ///
    /// [`Refusal::Help`] where help or the version was asked for, and
    /// [`Refusal::Unusable`] with one line that names the flag, its value and what is allowed.
    pub fn read<I, T>(args: I) -> Result<Self, Refusal>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let checked = Self::try_parse_from(args).and_then(|mut flags| {
            let unusable = |why| Self::command().error(ErrorKind::ValueValidation, why);
            flags.apply_and_check().map(|()| flags).map_err(unusable)
        });
        checked.map_err(|error| {
            let text = error.render().to_string();
            if error.use_stderr() {
                // clap's first paragraph says what is wrong; usage and hints follow it.
                let paragraph = text.split("\n\n").next().unwrap_or_default();
                Refusal::Unusable(paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
            } else {
                Refusal::Help(text)
            }
        })
    }
}

impl Flags {
    pub(crate) fn limits_concurrency(&self) -> bool {
        self.concurrency.is_some() || self.adaptive != AdaptiveBy::Off
    }

    /// What one value alone cannot tell: the burst belongs to the rate, and the layers have bounds.
    fn apply_and_check(&mut self) -> Result<(), String> {
        if let Some(burst) = self.burst {
            let rate = self.rate.first_mut().ok_or("--burst needs --rate")?;
            *rate = rate
                .try_burst(burst.get())
                .map_err(|why| format!("--burst: {why}"))?;
        }
        rate::check(&self.rate)?;
        for (flag, value) in [
            ("--concurrency-wait", self.concurrency_wait),
            ("--concurrency-idle", self.concurrency_idle),
        ] {
            if value.is_some() && !self.limits_concurrency() {
                return Err(format!("{flag} needs --concurrency or --adaptive"));
            }
        }
        self.cache.apply_and_check()?;
        self.keys.check()?;
        let guard = self.heap_budget.map(MemGuardLayer::try_new).transpose();
        let guard = guard.map_err(|why| format!("--heap-budget: {why}"))?;
        if let Some(directory) = &self.profile_directory {
            let guard = guard.ok_or("--profile-directory needs --heap-budget")?;
            let _ = guard
                .profile_at_hard(directory)
                .map_err(|why| format!("--profile-directory: {why}"))?;
        }
        Ok(())
    }
}

/// Why the command line leads to no running gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Help or the version was asked for; the text to print.
    Help(String),
    /// A flag cannot be used; one line to print.
    Unusable(String),
}
