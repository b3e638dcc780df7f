//! Two requests share a key if, and only if, they name the same in all that a key is made of.
#![no_main]

use cache_layer::fuzzing::Key;
use cache_layer_fuzz::{fields, lines, sections, split};
use http::{HeaderMap, Method, Uri};
use libfuzzer_sys::fuzz_target;

/// But for `Forwarded`, and all that begin with `X-Forwarded-`.
const OVERRIDES: [&str; 41] = [
    "cf-visitor",
    "cloudfront-forwarded-proto",
    "front-end-https",
    "x-arr-ssl",
    "x-forward-proto",
    "x-https",
    "x-original-proto",
    "x-scheme",
    "x-url-scheme",
    "proxy-host",
    "x-client-host",
    "x-envoy-original-host",
    "x-host",
    "x-http-host-override",
    "x-original-host",
    "x-real-host",
    "x-server-name",
    "x-server-port",
    "request-uri",
    "x-accel-mapping",
    "x-envoy-original-path",
    "x-http-destinationurl",
    "x-http-path-override",
    "x-original-prefix",
    "x-original-uri",
    "x-original-url",
    "x-override-url",
    "x-proxy-url",
    "x-request-uri",
    "x-rewrite-url",
    "x-script-name",
    "rsc",
    "surrogate-capability",
    "x-matched-path",
    "x-middleware-prefetch",
    "x-middleware-subrequest",
    "x-nextjs-data",
    "x-now-route-matches",
    "x-react-router-prerender-data",
    "x-react-router-spa-mode",
    "x-sendfile-type",
];

const CONTENT: [&str; 4] = [
    "content-type",
    "content-encoding",
    "grpc-encoding",
    "grpc-accept-encoding",
];

/// A target on the first line of a section, fields on the others. `Namespace` and `Content` are for
/// the target here, not for the crate.
struct Request {
    uri: Uri,
    headers: HeaderMap,
}

impl Request {
    fn read(section: &[u8]) -> Option<Self> {
        let mut lines = section.splitn(2, |byte| *byte == b'\n');
        Some(Self {
            uri: Uri::try_from(lines.next()?).ok()?,
            headers: fields(lines.next().unwrap_or_default()),
        })
    }

    fn said(&self, name: &str) -> &[u8] {
        lines(&self.headers, name).next().unwrap_or_default()
    }

    fn key(&self) -> Option<Key> {
        Key::of(self.said("namespace"), &self.uri, &self.headers)
    }

    fn finds(&self, stored: &Key) -> bool {
        stored.is_found_by(self.said("namespace"), &self.uri, &self.headers)
    }

    fn with_content(&self, key: &Key) -> Key {
        key.with_content(&Method::POST, &self.headers, self.said("content"))
    }

    /// The content, and how it is to be read.
    fn content(&self) -> (Vec<(&str, &[u8])>, &[u8]) {
        let of = |name| lines(&self.headers, name).map(move |line| (name, line));
        (
            CONTENT.into_iter().flat_map(of).collect(),
            self.said("content"),
        )
    }
}

/// What a request names.
#[derive(Debug, PartialEq, Eq)]
struct Normal {
    target: Target,
    overrides: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Target {
    namespace: Vec<u8>,
    scheme: String,
    host: String,
    port: u16,
    path: String,
    query: Option<String>,
}

impl Normal {
    fn of(request: &Request) -> Option<Self> {
        let uri = &request.uri;
        let scheme = uri.scheme_str().unwrap_or("http");
        if scheme.is_empty() {
            return None;
        }
        let hosts = uri
            .authority()
            .map(|authority| authority.as_str().as_bytes());
        let hosts: Vec<_> = hosts
            .into_iter()
            .chain(lines(&request.headers, "host"))
            .collect();
        let hosts: Vec<_> = hosts
            .iter()
            .map(|text| host(text, scheme))
            .collect::<Option<_>>()?;
        let (host, port) = hosts.first()?.clone();
        if lines(&request.headers, "host").count() > 1
            || hosts.iter().any(|other| *other != hosts[0])
        {
            return None;
        }
        let path = Some(uri.path()).filter(|path| !path.is_empty());
        Some(Self {
            target: Target {
                namespace: request.said("namespace").to_vec(),
                scheme: scheme.to_owned(),
                host,
                port,
                path: path.unwrap_or("/").to_owned(),
                query: uri.query().map(ToOwned::to_owned),
            },
            overrides: overrides(&request.headers),
        })
    }
}

/// A host in lower case, without the dot of the root, and its port.
fn host(text: &[u8], scheme: &str) -> Option<(String, u16)> {
    let text = str::from_utf8(text).ok()?.to_ascii_lowercase();
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (&*text, ""),
    };
    let name = match name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        Some(address) => {
            let is_address = address
                .chars()
                .all(|c| c.is_ascii_hexdigit() || ".:".contains(c));
            (is_address && !address.is_empty()).then_some(name)?
        }
        None => {
            let name = name.strip_suffix('.').unwrap_or(name);
            let is_name = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+;=".contains(c);
            (name.chars().all(is_name) && !name.is_empty() && !name.ends_with('.'))
                .then_some(name)?
        }
    };
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = match port {
        "" => usual,
        digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            let significant = digits.trim_start_matches('0');
            if significant.is_empty() {
                0
            } else {
                significant.parse().ok()?
            }
        }
        _ => return None,
    };
    (name.len() <= 255).then(|| (name.to_owned(), port))
}

fn overrides(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for (name, value) in headers {
        let value = value.as_bytes();
        let dashed = name.as_str().replace('_', "-");
        let is_override = match dashed.strip_prefix("x-forwarded-") {
            Some(what) => what != "for" && what != "by",
            None => OVERRIDES.contains(&&*dashed),
        };
        if is_override {
            all.push((name.to_string(), value.to_vec()));
        }
        if name == "forwarded" {
            let pairs = split(value, b',')
                .into_iter()
                .flat_map(|element| split(&element, b';'));
            all.extend(
                pairs
                    .filter(|pair| !names_client(pair))
                    .map(|pair| (name.to_string(), pair)),
            );
        }
    }
    // Only the order of one name's lines counts.
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

/// Whether a pair of `Forwarded` says who the client is, or by which proxy it came, and nothing else.
fn names_client(pair: &[u8]) -> bool {
    let Ok(pair) = str::from_utf8(pair) else {
        return false;
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]\"".contains(c);
    pair.split_once('=').is_some_and(|(name, node)| {
        ["for", "by"]
            .iter()
            .any(|one| name.eq_ignore_ascii_case(one))
            && node.chars().all(plain)
    })
}

fuzz_target!(|input: &[u8]| {
    let requests: Vec<_> = sections(input).take(2).filter_map(Request::read).collect();
    for request in &requests {
        let (key, normal) = (request.key(), Normal::of(request));
        assert_eq!(key.is_some(), normal.is_some(), "{normal:?}");
        if let (Some(key), Some(normal)) = (key, normal) {
            assert!(request.finds(&key));
            assert!(
                respelled(request, &normal).is_none_or(|other| other.key().as_ref() == Some(&key))
            );
            the_normal_form_is_its_own(&key, &normal);
        }
    }
    if let [one, other] = &requests[..]
        && let (Some(key), Some(other_key)) = (one.key(), other.key())
        && let (Some(normal), Some(other_normal)) = (Normal::of(one), Normal::of(other))
    {
        let same = normal == other_normal;
        assert_eq!(key == other_key, same, "{normal:?} {other_normal:?}");
        assert_eq!(key.parts() == other_key.parts(), same);
        assert_eq!([one.finds(&other_key), other.finds(&key)], [same; 2]);
        let same_target = normal.target == other_normal.target;
        let [[digest, uri_digest], [other_digest, other_uri_digest]] =
            [key.digests(), other_key.digests()];
        assert_eq!(
            [digest == other_digest, uri_digest == other_uri_digest],
            [same, same_target]
        );

        let [with, other_with] = [one.with_content(&key), other.with_content(&other_key)];
        assert_eq!(with == other_with, same && one.content() == other.content());
        assert_eq!(with.digests()[1], uri_digest);
        assert!(with.parts() != key.parts() && with.parts() != other_key.parts());
    }
});

/// The same request in other words.
fn respelled(request: &Request, normal: &Normal) -> Option<Request> {
    let Target {
        scheme,
        host,
        port,
        path,
        query,
        ..
    } = &normal.target;
    if scheme != "http" {
        return None;
    }
    let query = query.as_ref().map(|query| format!("?{query}"));
    let uri = format!("{path}{}", query.unwrap_or_default())
        .parse()
        .ok()?;
    let dot = if host.starts_with('[') { "" } else { "." };
    let host = format!("{}{dot}:000{port}", host.to_uppercase());
    let mut headers = request.headers.clone();
    headers.insert("host", host.parse().ok()?);
    headers.append("forwarded", "for=\"[::1]\";by=b, for=host".parse().ok()?);
    headers.append("x-forwarded-for", "10.0.0.1".parse().ok()?);
    (host.len() <= 200).then_some(Request { uri, headers })
}

/// The normal form, asked for, is what was asked for.
fn the_normal_form_is_its_own(key: &Key, normal: &Normal) {
    let Target {
        namespace,
        scheme,
        host,
        port,
        path,
        query,
    } = &normal.target;
    let query = query
        .as_ref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let spelled = |port: &str| format!("{scheme}://{host}{port}{path}{query}");
    let with_port = spelled(&format!(":{port}"));
    // The asterisk has no absolute form.
    let Some(uri) = with_port.parse().ok().filter(|_| path.starts_with('/')) else {
        return;
    };
    let again = Key::of_uri(namespace, &uri).expect("a normal form has a key");
    assert_eq!(again.digests(), [key.digests()[1]; 2]);
    assert_eq!(again == *key, normal.overrides.is_empty());
    // Shown are all octets but those that would end a string.
    if !with_port.contains(['\'', '"', '\\']) && with_port.is_ascii() {
        assert!(
            [with_port, spelled("")].contains(&again.to_string()),
            "{again}"
        );
    }
}
