//! What a flag's text may be; each function's error says it in one line.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use http::uri::{Authority, Scheme};
use http::{HeaderName, Uri};
use ipnet::IpNet;
use memguard_layer::HeapBudget;
use ratelimit_layer::ProxyHeader;

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "must be IP:PORT, such as 127.0.0.1:8080 or [::1]:8080".to_owned())
}

pub(super) fn upstream(text: &str) -> Result<Authority, String> {
    const ALLOWED: &str = "must be http://HOST or http://HOST:PORT";
    let parts = text
        .parse::<Uri>()
        .map_err(|_| ALLOWED.to_owned())?
        .into_parts();
    let authority = parts.authority.ok_or(ALLOWED)?;
    match parts.scheme {
        Some(scheme) if scheme == Scheme::HTTP => {}
        Some(scheme) if scheme == Scheme::HTTPS => {
            return Err("https is not supported towards the upstream; use http".to_owned());
        }
        _ => return Err(ALLOWED.to_owned()),
    }
    if parts.path_and_query.is_some_and(|path| path != "/") {
        return Err(format!(
            "{ALLOWED}, without a path: paths are passed on as they come"
        ));
    }
    // What is left of the authority besides the host must be nothing or a port.
    let port = authority.as_str().strip_prefix(authority.host());
    let port_fits = match port {
        Some("") => true,
        Some(port) => port[1..].parse::<u16>().is_ok_and(|port| port > 0),
        None => false,
    };
    if authority.host().is_empty() || !port_fits {
        return Err(ALLOWED.to_owned());
    }
    Ok(authority)
}

/// What a layer may wait for: at least a timer's step.
pub(super) fn within_a_day(text: &str) -> Result<Duration, String> {
    let allowed = Duration::from_millis(1)..=Duration::from_secs(86_400);
    match humantime::parse_duration(text) {
        Ok(duration) if allowed.contains(&duration) => Ok(duration),
        _ => Err("must be 1ms to 1day, such as 500ms or 2s".to_owned()),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() && duration <= LONGEST => Ok(duration),
        _ => Err("must be above zero and at most 10 years, such as 500ms, 30s or 2m".to_owned()),
    }
}

pub(super) fn size(text: &str) -> Result<u64, String> {
    match text.parse::<ByteSize>() {
        Ok(size) => Ok(size.as_u64()),
        Err(_) => Err("must be a number of bytes, such as 1048576, 64KiB or 256MiB".to_owned()),
    }
}

pub(super) fn some_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("must be above 0 bytes".to_owned()),
        size => Ok(size),
    }
}

pub(super) fn heap_budget(text: &str) -> Result<u64, String> {
    text.parse()
        .and_then(HeapBudget::resolve)
        .map_err(|why| why.to_string())
}

pub(super) fn count<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| "must be a whole number from 1".to_owned())
}

pub(super) fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "must be a network or an address, such as 10.0.0.0/8 or ::1".to_owned())
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".to_owned()),
    }
}

pub(super) fn header_name(text: &str) -> Result<HeaderName, String> {
    text.parse()
        .map_err(|_| "must be the name of a header field".to_owned())
}

pub(super) fn client_header(text: &str) -> Result<ProxyHeader, String> {
    match text.to_ascii_lowercase().as_str() {
        "x-forwarded-for" => Ok(ProxyHeader::XForwardedFor),
        "forwarded" => Ok(ProxyHeader::Forwarded),
        other => header_name(other).map(ProxyHeader::Other),
    }
}
