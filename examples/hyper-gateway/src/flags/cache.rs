//! The flags of the cache, and the layer they make.

use std::time::Duration;

use cache_layer::{CacheLayer, CacheStatus, SetCookie};
use clap::{ArgAction, Args};

use super::values::{duration, size, some_size};

/// What is cached, for how long and for whom.
#[derive(Args, Clone, Debug)]
pub struct CacheFlags {
    /// Bytes the cache may hold; 0 turns it off.
    #[arg(long = "cache-bytes", value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub bytes: u64,

    /// Largest response the cache stores.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = some_size)]
    pub max_entry_bytes: u64,

    /// Whether responses that name no lifetime are fresh for a tenth of the time since their
    /// Last-Modified, a day at most: on or off.
    #[arg(long, value_name = "SWITCH", default_value = "on", value_parser = switch, action = ArgAction::Set)]
    pub heuristic: bool,

    /// Lifetime of responses that name none and that --heuristic gives none; off unless given.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub default_ttl: Option<Duration>,

    /// What becomes of responses with Set-Cookie: refuse (not stored), strip (stored without the
    /// field) or store (everybody gets the same cookie).
    #[arg(long, value_name = "HOW", default_value = "refuse", value_parser = set_cookie)]
    pub set_cookie: SetCookie,

    /// Whether responses tell by Cache-Status what the cache did: on or off.
    #[arg(
        long = "cache-status",
        value_name = "HOW",
        default_value = "on",
        value_parser = cache_status
    )]
    pub status: CacheStatus,
}

impl CacheFlags {
    /// The layer; `None` if it is off.
    pub(crate) fn layer(&self) -> Option<CacheLayer> {
        (self.bytes > 0).then(|| {
            let layer = CacheLayer::new(self.bytes)
                .max_entry_bytes(self.max_entry_bytes)
                .heuristic(self.heuristic)
                .set_cookie(self.set_cookie)
                .cache_status(self.status);
            match self.default_ttl {
                Some(ttl) => layer.default_ttl(ttl),
                None => layer,
            }
        })
    }

    /// What one value alone cannot tell.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.bytes > 0 {
            let _ =
                CacheLayer::try_new(self.bytes).map_err(|why| format!("--cache-bytes: {why}"))?;
        }
        Ok(())
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".to_owned()),
    }
}

fn set_cookie(text: &str) -> Result<SetCookie, String> {
    match text {
        "refuse" => Ok(SetCookie::Refuse),
        "strip" => Ok(SetCookie::Strip),
        "store" => Ok(SetCookie::Store),
        _ => Err("must be refuse, strip or store".to_owned()),
    }
}

fn cache_status(text: &str) -> Result<CacheStatus, String> {
    match text {
        "on" => Ok(CacheStatus::On),
        "off" => Ok(CacheStatus::Off),
        _ => Err("must be on or off".to_owned()),
    }
}
