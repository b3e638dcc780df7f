//! What an intermediary does to header fields (RFC 9110 section 7.6), as plain functions.

use std::net::{IpAddr, SocketAddr};

use http::header::{
    AGE, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, EXPIRES, FORWARDED, HOST, HeaderMap,
    HeaderName, HeaderValue, TE, VARY, VIA,
};
use http::{Version, header};

/// The name under which the gateway appears in `Via`.
const PSEUDONYM: &str = "hyper-gateway";

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Fields that belong to one connection and are never passed on (RFC 9110 sections 7.6.1, 11.7).
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Fields by which proxies describe the client; anyone can write them, so only trusted peers may.
fn is_forwarding(name: &str) -> bool {
    name == "forwarded" || name.starts_with("x-forwarded-")
}

/// Names that some servers take for others, in which hyphens stand there (RFC 3875 section 4.1.18): a
/// client could write past every rule about those.
fn is_ambiguous(name: &str) -> bool {
    name.contains('_')
}

/// Removes what belonged to the connection the message came on, the fields `Connection` names too.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    remove(headers, is_hop_by_hop);
}

/// The same for a request that comes in: `TE: trailers` stays, as the gateway carries trailers on,
/// and what an untrusted peer claims about the client goes.
pub(crate) fn strip_request(headers: &mut HeaderMap, trusted: bool) {
    let is_unwanted =
        |name: &str| is_hop_by_hop(name) || is_ambiguous(name) || (!trusted && is_forwarding(name));
    // Most requests have nothing to remove; Connection and TE would be among it.
    if !headers.keys().any(|name| is_unwanted(name.as_str())) {
        return;
    }
    let trailers = headers
        .get_all(TE)
        .iter()
        .any(|line| tokens(line).any(|coding| coding.eq_ignore_ascii_case("trailers")));
    remove(headers, is_unwanted);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

fn remove(headers: &mut HeaderMap, is_unwanted: impl Fn(&str) -> bool) {
    let mut unwanted: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_unwanted(name.as_str()))
        .cloned()
        .collect();
    for line in headers.get_all(CONNECTION) {
        unwanted.extend(
            tokens(line)
                .filter_map(|name| name.parse().ok())
                .filter(|name| !is_for_all(name)),
        );
    }
    for name in unwanted {
        headers.remove(name);
    }
}

/// Fields that `Connection` must not take away, whoever lists them (RFC 9110 section 7.6.1): what a
/// request is for, and by what a cache judges a response.
fn is_for_all(name: &HeaderName) -> bool {
    [HOST, AGE, CACHE_CONTROL, EXPIRES, VARY].contains(name)
        || name.as_str().ends_with("-cache-control")
}

fn tokens(line: &HeaderValue) -> impl Iterator<Item = &str> {
    line.to_str().unwrap_or_default().split(',').map(str::trim)
}

/// Appends the gateway to `Via` (RFC 9110 section 7.6.3); `received` is the message's version.
pub(crate) fn append_via(headers: &mut HeaderMap, received: Version) {
    let version = match received {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    append(headers, VIA, &format!("{version} {PSEUDONYM}"));
}

/// How often the message came through gateways of this name, by its `Via`.
pub(crate) fn passes(headers: &HeaderMap) -> usize {
    let is_own = |member: &str| member.split_whitespace().nth(1) == Some(PSEUDONYM);
    headers
        .get_all(VIA)
        .iter()
        .flat_map(tokens)
        .filter(|member| is_own(member))
        .count()
}

/// Tells the upstream whom the request is from. What a trusted peer said before is continued;
/// what any other peer said is already gone (see [`strip_request`]).
pub(crate) fn describe_client(headers: &mut HeaderMap, peer: SocketAddr) {
    let ip = peer.ip();
    append(headers, X_FORWARDED_FOR, &ip.to_string());
    if headers.contains_key(FORWARDED) {
        let node = match ip {
            IpAddr::V4(ip) => format!("for={ip}"),
            IpAddr::V6(ip) => format!("for=\"[{ip}]\""),
        };
        append(headers, FORWARDED, &node);
    }
}

/// Tells the upstream which target was asked for, where nobody trusted has said so before.
pub(crate) fn describe_target(headers: &mut HeaderMap) {
    if !headers.contains_key(X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if !headers.contains_key(X_FORWARDED_HOST)
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(X_FORWARDED_HOST, host);
    }
}

/// What the request needs on the connection to the upstream.
pub(crate) fn prepare_connection(headers: &mut HeaderMap) {
    // The gateway itself answered the client's expectation when it began to read the body.
    headers.remove(header::EXPECT);
    // Once, and in the spelling that everybody reads alike.
    let length = headers.get(CONTENT_LENGTH).and_then(|length| {
        let length = length.to_str().ok()?;
        length.parse::<u64>().ok()
    });
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if headers.contains_key(TE) {
        // RFC 9110 section 10.1.4: who sends TE names it in Connection.
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Adds a member to a list field, on one line: some recipients read only the first.
fn append(headers: &mut HeaderMap, name: HeaderName, member: &str) {
    let mut list = Vec::new();
    for line in headers.get_all(&name) {
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(member.as_bytes());
    // Bytes that came from header values, and ASCII: a value again.
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use http::Version;
    use http::header::{HeaderMap, HeaderName, HeaderValue};

    use super::{
        append_via, describe_client, describe_target, passes, prepare_connection, strip_hop_by_hop,
        strip_request,
    };

    fn fields(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn connection_fields_and_those_it_names_go() {
        let mut headers = fields(&[
            ("connection", "close, X-One"),
            ("connection", "x-two,, \"bad name\""),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("proxy-connection", "keep-alive"),
            ("trailer", "x-sum"),
        ]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers, fields(&[("x-three", "3"), ("trailer", "x-sum")]));
    }

    #[test]
    fn host_survives_a_connection_field_that_names_it() {
        let mut headers = fields(&[("host", "a"), ("connection", "host")]);
        strip_request(&mut headers, false);
        assert_eq!(headers, fields(&[("host", "a")]));
    }

    #[test]
    fn what_a_cache_goes_by_survives_a_connection_field_that_names_it() {
        let kept = [
            ("cache-control", "private"),
            ("vary", "*"),
            ("cdn-cache-control", "no-store"),
        ];
        let mut headers = fields(&kept);
        for (name, _) in kept {
            headers.append("connection", HeaderValue::from_static(name));
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers, fields(&kept));
    }

    #[test]
    fn names_that_pass_for_others_go() {
        let mut headers = fields(&[
            ("x_forwarded_host", "evil"),
            ("content_length", "1"),
            ("x-kept", "1"),
        ]);
        strip_request(&mut headers, true);
        assert_eq!(headers, fields(&[("x-kept", "1")]));
    }

    #[test]
    fn the_length_is_said_once_and_plainly() {
        let mut headers = fields(&[("content-length", "007"), ("content-length", "007")]);
        prepare_connection(&mut headers);
        assert_eq!(headers, fields(&[("content-length", "7")]));
    }

    #[test]
    fn only_trailers_is_left_of_te() {
        let mut headers = fields(&[("te", "gzip;q=1, Trailers"), ("connection", "te")]);
        strip_request(&mut headers, false);
        assert_eq!(headers, fields(&[("te", "trailers")]));
        prepare_connection(&mut headers);
        assert_eq!(headers, fields(&[("te", "trailers"), ("connection", "te")]));

        let mut headers = fields(&[("te", "gzip")]);
        strip_request(&mut headers, false);
        assert!(headers.is_empty());
    }

    #[test]
    fn claims_about_the_client_count_from_trusted_peers_only() {
        let claims = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-prefix", "/admin"),
            ("forwarded", "for=1.1.1.1"),
            ("host", "shop.example"),
        ];
        let mut headers = fields(&claims);
        strip_request(&mut headers, false);
        describe_client(&mut headers, "127.0.0.9:1".parse().unwrap());
        describe_target(&mut headers);
        assert_eq!(
            headers,
            fields(&[
                ("host", "shop.example"),
                ("x-forwarded-for", "127.0.0.9"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "shop.example"),
            ])
        );

        let mut headers = fields(&claims);
        strip_request(&mut headers, true);
        describe_client(&mut headers, "[::2]:1".parse().unwrap());
        describe_target(&mut headers);
        assert_eq!(
            headers,
            fields(&[
                ("x-forwarded-for", "1.1.1.1, 2.2.2.2, ::2"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "evil"),
                ("x-forwarded-prefix", "/admin"),
                ("forwarded", "for=1.1.1.1, for=\"[::2]\""),
                ("host", "shop.example"),
            ])
        );
    }

    #[test]
    fn via_grows_by_one_member_and_counts_our_own() {
        let mut headers = fields(&[("via", "1.0 fred"), ("via", "1.1 hyper-gateway (x)")]);
        append_via(&mut headers, Version::HTTP_2);
        assert_eq!(
            headers["via"],
            "1.0 fred, 1.1 hyper-gateway (x), 2 hyper-gateway"
        );
        assert_eq!(passes(&headers), 2);
    }
}
