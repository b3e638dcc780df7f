//! The flags of the cache, and the layer they make.

use std::time::Duration;

use cache_layer::{CacheLayer, CacheStatus, Cookies, Credentials, Eviction, SetCookie};
use clap::{ArgAction, Args, value_parser};
use http::HeaderName;

use super::values::{duration, size, some_size, switch};

/// Statuses of one `--negative-ttl`.
type Statuses = Vec<u16>;

/// What is cached, for how long and for whom.
#[derive(Args, Clone, Debug)]
pub struct CacheFlags {
    /// Bytes the cache may hold; 0 turns it off.
    #[arg(long = "cache-bytes", value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub bytes: u64,

    /// Largest response the cache stores.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = some_size)]
    pub max_entry_bytes: u64,

    /// Largest header section of a response the cache stores.
    #[arg(long, value_name = "SIZE", default_value = "32KiB", value_parser = some_size)]
    pub max_header_bytes: u64,

    /// Most responses to one URI that differ by the request fields their Vary names.
    #[arg(long, value_name = "N", default_value = "32", value_parser = value_parser!(u16).range(1..=256))]
    pub max_variants: u16,

    /// Most fields a response's Vary may name for the cache to store it; 0 for none with a Vary.
    #[arg(long, value_name = "N", default_value = "8")]
    pub max_vary_names: usize,

    /// Field on which responses may vary although the cache does not store those by default: cookie,
    /// authorization, user-agent or one of --credential-header; repeatable; none unless given.
    #[arg(long, value_name = "NAME", value_parser = field_name)]
    pub vary_on: Vec<HeaderName>,

    /// Whether responses that name no lifetime are fresh for a tenth of the time since their
    /// Last-Modified, a day at most: on or off.
    #[arg(long, value_name = "SWITCH", default_value = "on", value_parser = switch, action = ArgAction::Set)]
    pub heuristic: bool,

    /// Lifetime of responses that name none and that --heuristic gives none; off unless given.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub default_ttl: Option<Duration>,

    /// Lifetime of errors that name none, by status, such as 404,410=10s or 500-504=1s; repeatable; off
    /// unless given.
    #[arg(long, value_name = "STATUSES=DURATION", value_parser = negative_ttl)]
    pub negative_ttl: Vec<(Statuses, Duration)>,

    /// How long responses are fresh at least, even if they name a shorter lifetime, unless they say that
    /// the upstream is to be asked; off unless given.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub min_ttl: Option<Duration>,

    /// How long responses are fresh at most, whatever they say; off unless given.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub max_ttl: Option<Duration>,

    /// Share by which lifetimes that no response names are shortened at random, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = share)]
    pub ttl_jitter: f64,

    /// Who leaves a full cache once nothing is left that has expired: tiny-lfu (who is asked for least
    /// often), lru (who has not been asked for longest) or soonest-to-expire.
    #[arg(long, value_name = "POLICY", default_value = "tiny-lfu", value_parser = eviction)]
    pub eviction: Eviction,

    /// How long a response stays that nobody asks for; for its lifetime unless given.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub time_to_idle: Option<Duration>,

    /// Share of a lifetime, at its end, in which a response that is asked for often is fetched anew
    /// before it expires, 0 to 0.5; 0 is off.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = ahead)]
    pub refresh_ahead: f64,

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

    /// What a request's Authorization means to the cache: mind (what comes back is shared only if it is
    /// public, has s-maxage or must-revalidate) or bypass (no cache).
    #[arg(long, value_name = "HOW", default_value = "mind", value_parser = credentials)]
    pub credentials: Credentials,

    /// Field that counts as Authorization does, such as x-api-key; repeatable; api-key, x-access-token,
    /// x-api-key and x-auth-token unless given; none turns it off.
    #[arg(long, value_name = "NAME", value_parser = field_name)]
    pub credential_header: Option<Vec<HeaderName>>,

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
            let mut layer = CacheLayer::new(self.bytes)
                .max_entry_bytes(self.max_entry_bytes)
                .max_header_bytes(self.max_header_bytes)
                .max_variants(self.max_variants.into())
                .max_vary_names(self.max_vary_names)
                .vary_on(self.vary_on.iter().cloned())
                .heuristic(self.heuristic)
                .ttl_jitter(self.ttl_jitter)
                .eviction(self.eviction)
                .refresh_ahead(self.refresh_ahead)
                .targeted(self.targeted.iter().cloned())
                .credentials(self.credentials)
                .cookies(self.cookie)
                .set_cookie(self.set_cookie)
                .store_post(true)
                .stale_if_disconnected(true)
                .cache_status(self.status);
            if let Some(time) = self.time_to_idle {
                layer = layer.time_to_idle(time);
            }
            for (statuses, ttl) in &self.negative_ttl {
                layer = layer.negative_ttl(statuses.iter().copied(), *ttl);
            }
            if let Some(names) = &self.credential_header {
                layer = layer.credential_headers(names.iter().cloned());
            }
            if let Some(most) = self.max_ttl {
                layer = layer.max_ttl(most);
            }
            // Zero is what the layer has for off.
            layer
                .min_ttl(self.min_ttl.unwrap_or_default())
                .default_ttl(self.default_ttl.unwrap_or_default())
                .stale_if_error(self.stale_if_error.unwrap_or_default())
                .stale_while_revalidate(self.stale_while_revalidate.unwrap_or_default())
        })
    }

    /// What one value alone cannot tell; `none` becomes no field.
    pub(super) fn apply_and_check(&mut self) -> Result<(), String> {
        none_alone("--targeted", &mut self.targeted)?;
        if let Some(names) = &mut self.credential_header {
            none_alone("--credential-header", names)?;
        }
        if self
            .min_ttl
            .zip(self.max_ttl)
            .is_some_and(|(least, most)| least > most)
        {
            return Err("--min-ttl must be at most --max-ttl".to_owned());
        }
        if self.bytes > 0 {
            let mut layer =
                CacheLayer::try_new(self.bytes).map_err(|why| format!("--cache-bytes: {why}"))?;
            for (statuses, ttl) in &self.negative_ttl {
                layer = layer
                    .try_negative_ttl(statuses.iter().copied(), *ttl)
                    .map_err(|why| format!("--negative-ttl: {why}"))?;
            }
        }
        Ok(())
    }
}

fn none_alone(flag: &str, names: &mut Vec<HeaderName>) -> Result<(), String> {
    if names.iter().any(|name| name == "none") {
        if names.len() > 1 {
            return Err(format!("{flag}: none stands alone"));
        }
        names.clear();
    }
    Ok(())
}

/// `404,410=10s` or `500-504=1s`.
fn negative_ttl(text: &str) -> Result<(Statuses, Duration), String> {
    const ALLOWED: &str = "must be statuses and a duration, such as 404,410=10s or 500-504=1s";
    let status = |text: &str| match text.parse() {
        Ok(status @ 100..=999) => Ok(status),
        _ => Err(ALLOWED.to_owned()),
    };
    let (list, ttl) = text.split_once('=').ok_or(ALLOWED)?;
    let mut statuses = Statuses::new();
    for item in list.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        statuses.extend(status(first)?..=status(last)?);
    }
    Ok((statuses, duration(ttl)?))
}

fn share(text: &str) -> Result<f64, String> {
    share_up_to(1.0, text)
}

fn ahead(text: &str) -> Result<f64, String> {
    share_up_to(0.5, text)
}

fn share_up_to(most: f64, text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=most).contains(&share) => Ok(share),
        _ => Err(format!("must be from 0 to {most}")),
    }
}

fn eviction(text: &str) -> Result<Eviction, String> {
    match text {
        "tiny-lfu" => Ok(Eviction::TinyLfu),
        "lru" => Ok(Eviction::Lru),
        "soonest-to-expire" => Ok(Eviction::SoonestToExpire),
        _ => Err("must be tiny-lfu, lru or soonest-to-expire".to_owned()),
    }
}

fn field_name(text: &str) -> Result<HeaderName, String> {
    text.parse()
        .map_err(|_| "must be the name of a header field".to_owned())
}

fn cookie(text: &str) -> Result<Cookies, String> {
    match text {
        "mind" => Ok(Cookies::Mind),
        "ignore" => Ok(Cookies::Ignore),
        "bypass" => Ok(Cookies::Bypass),
        _ => Err("must be mind, ignore or bypass".to_owned()),
    }
}

fn credentials(text: &str) -> Result<Credentials, String> {
    match text {
        "mind" => Ok(Credentials::Mind),
        "bypass" => Ok(Credentials::Bypass),
        _ => Err("must be mind or bypass".to_owned()),
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
