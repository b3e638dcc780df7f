//! What a request must be before anything else of the gateway sees it: a clear target, one valid
//! Host, no field that belonged to the client's connection.

use bytes::Bytes;
use http::header::{COOKIE, HOST, HeaderMap, HeaderValue, MAX_FORWARDS};
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::Full;

use crate::answer::problem;
use crate::fields;

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The message breaks a rule that keeps gateway and upstream of one mind about its target.
    Malformed(&'static str),
    /// A method that makes no sense through this gateway.
    Method(&'static str),
    /// `OPTIONS` for the gateway itself; not a failure, but the end of the way.
    Options,
}

impl Refusal {
    pub(crate) fn answer(self) -> Response<Full<Bytes>> {
        match self {
            Self::Malformed(detail) => problem(StatusCode::BAD_REQUEST, detail),
            Self::Method(detail) => problem(StatusCode::NOT_IMPLEMENTED, detail),
            Self::Options => {
                let mut answer = Response::new(Full::default());
                *answer.status_mut() = StatusCode::NO_CONTENT;
                answer
            }
        }
    }
}

/// Brings `request` into the one form the rest works on: origin-form target, its authority in one
/// `Host`, no hop-by-hop fields. `default_host` is for HTTP/1.0, which has no duty to name one.
pub(crate) fn admit<B>(
    request: &mut Request<B>,
    trusted: bool,
    default_host: &HeaderValue,
) -> Result<(), Refusal> {
    if *request.method() == Method::CONNECT {
        return Err(Refusal::Method(
            "This is no forward proxy: CONNECT is not supported.",
        ));
    }
    if *request.method() == Method::TRACE {
        return Err(Refusal::Method(
            "TRACE is not supported: it would echo credentials.",
        ));
    }
    one_host(request, default_host)?;
    if *request.method() == Method::OPTIONS && options_end_here(request)? {
        return Err(Refusal::Options);
    }
    if request.uri().path() == "*" {
        return Err(Refusal::Malformed("The target * is for OPTIONS only."));
    }
    fields::strip_request(request.headers_mut(), trusted);
    if request.version() == Version::HTTP_2 {
        join_cookies(request.headers_mut());
    }
    Ok(())
}

/// RFC 9112 section 3.2: one valid Host, and the authority of an absolute-form target before it.
fn one_host<B>(request: &mut Request<B>, default_host: &HeaderValue) -> Result<(), Refusal> {
    let version = request.version();
    let mut lines = request.headers().get_all(HOST).iter();
    let host = lines.next();
    if lines.next().is_some() {
        return Err(Refusal::Malformed("The request has more than one Host."));
    }
    if host.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(Refusal::Malformed("The request's Host is not valid."));
    }
    let Some(authority) = request.uri().authority() else {
        if host.is_none() {
            if version != Version::HTTP_10 {
                return Err(Refusal::Malformed("The request has no Host."));
            }
            request.headers_mut().insert(HOST, default_host.clone());
        }
        return Ok(());
    };
    let scheme = request.uri().scheme();
    if !scheme.is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS) {
        return Err(Refusal::Malformed(
            "The request's target has no http scheme.",
        ));
    }
    if !is_host(authority.as_str().as_bytes()) {
        return Err(Refusal::Malformed(
            "The authority of the request's target is not valid.",
        ));
    }
    let differs = |host: &HeaderValue| {
        !host
            .as_bytes()
            .eq_ignore_ascii_case(authority.as_str().as_bytes())
    };
    match version {
        // RFC 9113 section 8.3.1: a request whose two authorities differ is malformed.
        Version::HTTP_2 if host.is_some_and(differs) => {
            return Err(Refusal::Malformed(
                "The request's :authority and Host differ.",
            ));
        }
        Version::HTTP_11 if host.is_none() => {
            return Err(Refusal::Malformed("The request has no Host."));
        }
        _ => {}
    }
    let Ok(host) = HeaderValue::from_str(authority.as_str()) else {
        return Err(Refusal::Malformed(
            "The authority of the request's target is not valid.",
        ));
    };
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    request.headers_mut().insert(HOST, host);
    *request.uri_mut() = Uri::from(path);
    Ok(())
}

/// Whether `host` is `uri-host [ ":" port ]` (RFC 3986 section 3.2.2) with something in it.
fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host {
        [b'[', rest @ ..] => {
            let is_of_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            let end = rest.iter().position(|byte| !is_of_address(byte));
            match rest.split_at(end.unwrap_or(rest.len())) {
                (address, [b']', port @ ..]) => (address, port),
                _ => return false,
            }
        }
        _ => {
            let is_of_name = |byte: &u8| IN_NAME[usize::from(*byte)];
            let end = host.iter().position(|byte| !is_of_name(byte));
            host.split_at(end.unwrap_or(host.len()))
        }
    };
    match port {
        _ if name.is_empty() => false,
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// What a name is made of: every octet of every request's Host is looked up here.
static IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let allowed = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;=";
    let mut at = 0;
    while at < allowed.len() {
        table[allowed[at] as usize] = true;
        at += 1;
    }
    table
};

/// `OPTIONS *` asks about this server; `Max-Forwards: 0` stops at it (RFC 9110 section 7.6.2).
fn options_end_here<B>(request: &mut Request<B>) -> Result<bool, Refusal> {
    let Some(limit) = request.headers().get(MAX_FORWARDS) else {
        return Ok(request.uri().path() == "*");
    };
    let left = limit
        .to_str()
        .ok()
        .and_then(|digits| digits.parse::<u64>().ok());
    match left {
        None => Err(Refusal::Malformed(
            "The request's Max-Forwards is not a number.",
        )),
        Some(0) => Ok(true),
        Some(left) => {
            request
                .headers_mut()
                .insert(MAX_FORWARDS, HeaderValue::from(left - 1));
            Ok(request.uri().path() == "*")
        }
    }
}

/// RFC 9113 section 8.2.3: HTTP/1.1 has one Cookie line.
fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else {
        return;
    };
    let mut joined = first.to_vec();
    for line in std::iter::once(second).chain(lines) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(line);
    }
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request, Version};

    use super::{Refusal, admit, is_host};

    fn request(version: Version, line: &str, fields: &[(&str, &str)]) -> Request<()> {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = Request::builder()
            .version(version)
            .method(method)
            .uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn admitted(mut request: Request<()>) -> Result<Request<()>, Refusal> {
        admit(&mut request, false, &HeaderValue::from_static("default:1")).map(|()| request)
    }

    fn v11(line: &str, fields: &[(&str, &str)]) -> Result<Request<()>, Refusal> {
        admitted(request(Version::HTTP_11, line, fields))
    }

    #[test]
    fn hosts() {
        for good in [
            "a",
            "a.b:80",
            "a:",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "a_b~%41",
            "EX.ample.",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a/b", "u@a", "a:b", "a:80:80", "a:123456", "[::1", "[::1]x", "[g]",
            "a,b c", "a[b]", "[]", "[]:80", "[::1]80", "a\\b", "a?b", "a#b", "\u{e4}", "a\t",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn one_valid_host_is_demanded() {
        assert!(v11("GET /", &[("host", "a")]).is_ok());
        for fields in [
            &[][..],
            &[("host", "a"), ("host", "a")],
            &[("host", "")],
            &[("host", "a/b")],
        ] {
            assert!(
                matches!(v11("GET /", fields), Err(Refusal::Malformed(_))),
                "{fields:?}"
            );
        }
        let old = admitted(request(Version::HTTP_10, "GET /", &[])).unwrap();
        assert_eq!(old.headers()["host"], "default:1");
    }

    #[test]
    fn absolute_form_becomes_origin_form_and_its_authority_wins() {
        let request = v11("GET http://b:81/x?y", &[("host", "a")]).unwrap();
        assert_eq!(
            (request.uri(), &request.headers()["host"]),
            (&"/x?y".parse().unwrap(), &HeaderValue::from_static("b:81"))
        );
        let request = v11("GET http://b", &[("host", "a")]).unwrap();
        assert_eq!(request.uri(), "/");
        for line in ["GET ftp://b/", "GET http://u:p@b/", "GET b:80"] {
            assert!(
                matches!(v11(line, &[("host", "b")]), Err(Refusal::Malformed(_))),
                "{line}"
            );
        }
        assert!(v11("GET http://b/", &[]).is_err());
    }

    #[test]
    fn http2_may_not_name_two_authorities() {
        let two =
            |fields: &[(&str, &str)]| admitted(request(Version::HTTP_2, "GET http://b/x", fields));
        assert_eq!(two(&[]).unwrap().headers()["host"], "b");
        assert!(two(&[("host", "B")]).is_ok());
        assert!(two(&[("host", "c")]).is_err());
        let joined = two(&[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]).unwrap();
        assert_eq!(joined.headers()["cookie"], "a=1; b=2; c=3");
        assert_eq!(joined.headers().get_all("cookie").iter().count(), 1);
    }

    #[test]
    fn methods_that_end_here() {
        let host = [("host", "a")];
        assert!(matches!(
            v11("CONNECT b:80", &host),
            Err(Refusal::Method(_))
        ));
        assert!(matches!(v11("TRACE /", &host), Err(Refusal::Method(_))));
        assert_eq!(v11("OPTIONS *", &host).unwrap_err(), Refusal::Options);
        assert!(matches!(v11("GET *", &host), Err(Refusal::Malformed(_))));
        assert!(v11("OPTIONS /x", &host).is_ok());

        let limited = |limit| v11("OPTIONS /x", &[("host", "a"), ("max-forwards", limit)]);
        assert_eq!(limited("0").unwrap_err(), Refusal::Options);
        assert_eq!(limited("3").unwrap().headers()["max-forwards"], "2");
        assert!(matches!(limited("many"), Err(Refusal::Malformed(_))));
    }
}
