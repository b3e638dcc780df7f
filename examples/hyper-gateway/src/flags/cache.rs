//! The flags of the cache, and the layer they make.

use std::time::Duration;

use cache_layer::{CacheLayer, CacheStatus, Cookies, SetCookie};
use clap::{ArgAction, Args};
use http::HeaderName;

use super::values::{duration, size, some_size, switch};

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

    /// Field that counts before Cache-Control and Expires where a response has it (RFC 9213);
    /// repeatable, in order of precedence; none turns it off.
    #[arg(long, value_name = "NAME", default_value = "cdn-cache-control", value_parser = field_name)]
    pub targeted: Vec<HeaderName>,

    /// How long past its lifetime a response may stand in for an upstream that answers 500, 502, 503
    /// or 504; off unless given. For one that cannot be reached it does so anyway.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub stale_if_error: Option<Duration>,

    /// How long past its lifetime a response is still served while a new one is fetched; off unless
    /// given.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub stale_while_revalidate: Option<Duration>,

    /// What a request's Cookie means to the cache: mind (what comes back is shared only if it is
    /// public or has s-maxage), ignore (nothing) or bypass (no cache).
    #[arg(long, value_name = "HOW", default_value = "mind", value_parser = cookie)]
    pub cookie: Cookies,

    /// What becomes of responses with Set-Cookie: refuse (not stored), strip (stored without the
    /// field) or store (everybody gets the same cookie).
    #[arg(long, value_name = "HOW", default_value = "refuse", value_parser = set_cookie)]
    pub set_cookie: SetCookie,

    /// Whether responses tell by Cache-Status what the cache did: on, off, or debug (with the time
    /// left and the key, which are not for the public).
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
                .targeted(self.targeted.iter().cloned())
                .cookies(self.cookie)
                .set_cookie(self.set_cookie)
                .store_post(true)
                .stale_if_disconnected(true)
                .cache_status(self.status);
            // Zero is what the layer has for off.
            layer
                .default_ttl(self.default_ttl.unwrap_or_default())
                .stale_if_error(self.stale_if_error.unwrap_or_default())
                .stale_while_revalidate(self.stale_while_revalidate.unwrap_or_default())
        })
    }

    /// What one value alone cannot tell; `none` becomes no targeted field.
    pub(super) fn apply_and_check(&mut self) -> Result<(), String> {
        if self.targeted.iter().any(|name| name == "none") {
            if self.targeted.len() > 1 {
                return Err("--targeted: none stands alone".to_owned());
            }
            self.targeted.clear();
        }
        if self.bytes > 0 {
            let _ =
                CacheLayer::try_new(self.bytes).map_err(|why| format!("--cache-bytes: {why}"))?;
        }
        Ok(())
    }
}

fn field_name(text: &str) -> Result<HeaderName, String> {
    text.parse()
        .map_err(|_| "must be the name of a header field, or none".to_owned())
}

fn cookie(text: &str) -> Result<Cookies, String> {
    match text {
        "mind" => Ok(Cookies::Mind),
        "ignore" => Ok(Cookies::Ignore),
        "bypass" => Ok(Cookies::Bypass),
        _ => Err("must be mind, ignore or bypass".to_owned()),
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
        "debug" => Ok(CacheStatus::Debug),
        _ => Err("must be on, off or debug".to_owned()),
    }
}
