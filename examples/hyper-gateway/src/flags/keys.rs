//! The flags that say what requests share a stored response.

use cache_layer::{CacheLayer, Overrides, QueryPolicy, Spelling, Unkeyable};
use clap::{ArgAction, Args};
use http::HeaderName;

use super::values::{header_name, switch};
use crate::server::Peer;

/// What requests share a stored response.
#[derive(Args, Clone, Debug)]
pub struct KeyFlags {
    /// What becomes of fields by which the upstream may be told another scheme, host or path, such as
    /// X-Original-URL: key (who sends the same shares), strip (the upstream sees none), refuse (400) or
    /// ignore (who heeds them is poisoned by them). Those of trusted proxies are keys in any case.
    #[arg(long, value_name = "HOW", default_value = "key", value_parser = overrides)]
    pub overrides: Overrides,

    /// Field that --overrides is about, in place of the usual ones; repeatable.
    #[arg(long = "override-field", value_name = "NAME", value_parser = header_name)]
    pub override_fields: Vec<HeaderName>,

    /// Query parameter that no response depends on, such as utm_source; the upstream does not see it;
    /// repeatable.
    #[arg(
        long = "ignore-param",
        value_name = "NAME",
        conflicts_with = "keep_params"
    )]
    pub ignore_params: Vec<String>,

    /// Query parameter that responses depend on; the upstream sees no other ones; repeatable.
    #[arg(long = "keep-param", value_name = "NAME")]
    pub keep_params: Vec<String>,

    /// Whether query parameters are sorted by their names before the upstream sees them, because no
    /// response depends on their order: on or off.
    #[arg(long, value_name = "SWITCH", default_value = "off", value_parser = switch, action = ArgAction::Set)]
    pub sort_query: bool,

    /// Which spellings of one URI share a response, of which the upstream sees the normal one: exact
    /// (none), host (A:80 and a) or host-and-path (also /%78 and /x).
    #[arg(long, value_name = "HOW", default_value = "host", value_parser = spelling)]
    pub spelling: Spelling,

    /// Request field that responses depend on although they do not say so by Vary; repeatable.
    #[arg(long = "cache-key-header", value_name = "NAME", value_parser = header_name)]
    pub key_headers: Vec<HeaderName>,

    /// What becomes of requests whose target is over 8 KiB or whose host is over 255 octets: bypass (no
    /// cache) or refuse (414, 400).
    #[arg(long, value_name = "HOW", default_value = "bypass", value_parser = overlong)]
    pub overlong: Unkeyable,
}

impl KeyFlags {
    /// The layer, with keys of this make.
    pub(crate) fn of(&self, layer: CacheLayer) -> CacheLayer {
        let query = if self.keep_params.is_empty() {
            QueryPolicy::ignoring(&self.ignore_params)
        } else {
            QueryPolicy::keeping(&self.keep_params)
        };
        let layer = layer
            .overrides(self.overrides)
            .trusted_peers(|extensions| extensions.get::<Peer>().is_some_and(|peer| peer.trusted))
            .query_policy(if self.sort_query {
                query.sorted()
            } else {
                query
            })
            .spelling(self.spelling)
            .key_headers(self.key_headers.iter().cloned())
            .overlong(self.overlong);
        if self.override_fields.is_empty() {
            layer
        } else {
            layer.override_fields(self.override_fields.iter().cloned())
        }
    }

    /// What one value alone cannot tell.
    pub(super) fn check(&self) -> Result<(), String> {
        let client = |name: &HeaderName| name.as_str().replace('_', "-") == "x-forwarded-for";
        if self.override_fields.iter().any(client) {
            return Err("--override-field: x-forwarded-for differs for each client".to_owned());
        }
        Ok(())
    }
}

fn overrides(text: &str) -> Result<Overrides, String> {
    match text {
        "key" => Ok(Overrides::Key),
        "strip" => Ok(Overrides::Strip),
        "refuse" => Ok(Overrides::Refuse),
        "ignore" => Ok(Overrides::Ignore),
        _ => Err("must be key, strip, refuse or ignore".to_owned()),
    }
}

fn spelling(text: &str) -> Result<Spelling, String> {
    match text {
        "exact" => Ok(Spelling::Exact),
        "host" => Ok(Spelling::Host),
        "host-and-path" => Ok(Spelling::HostAndPath),
        _ => Err("must be exact, host or host-and-path".to_owned()),
    }
}

fn overlong(text: &str) -> Result<Unkeyable, String> {
    match text {
        "bypass" => Ok(Unkeyable::Bypass),
        "refuse" => Ok(Unkeyable::Refuse),
        _ => Err("must be bypass or refuse".to_owned()),
    }
}
