//! What keys are made of, by a model.

use crate::spelling::{Host, normal_path};
use crate::{fields, lines, split};
use cache_layer::{CacheLayer, Overrides, QueryPolicy, Spelling};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

/// The usual override fields, but for `Forwarded` and all that begin with `X-Forwarded-`.
const USUAL: &str = "cf-visitor cloudfront-forwarded-proto front-end-https x-arr-ssl x-forward-proto \
    x-https x-original-proto x-scheme x-url-scheme proxy-host x-client-host x-envoy-original-host x-host \
    x-http-host-override x-original-host x-real-host x-server-name x-server-port request-uri \
    x-accel-mapping x-envoy-original-path x-http-destinationurl x-http-path-override x-original-prefix \
    x-original-uri x-original-url x-override-url x-proxy-url x-request-uri x-rewrite-url x-script-name \
    rsc surrogate-capability x-matched-path x-middleware-prefetch x-middleware-subrequest x-nextjs-data \
    x-now-route-matches x-react-router-prerender-data x-react-router-spa-mode x-sendfile-type";

/// How keys are made, as the fields of a section say it.
#[derive(Debug)]
pub struct Settings {
    namespace: Vec<u8>,
    spelling: Spelling,
    sorted: bool,
    /// Whether these parameters count, or all others.
    parameters: Option<(bool, Vec<String>)>,
    key_headers: Vec<HeaderName>,
    owner: Option<HeaderName>,
    overrides: Overrides,
    override_fields: Option<Vec<HeaderName>>,
    trusts: bool,
}

impl Settings {
    /// `Namespace`, `Spelling`, `Sorted`, `Ignoring` or `Keeping`, `Key-Headers`, `Key-By` with the name
    /// of a field, `Overrides`, `Override-Fields` and `Trusts`.
    #[must_use]
    pub fn read(section: &[u8]) -> Self {
        let fields = fields(section);
        let is_set = |name: &str| fields.contains_key(name);
        let words = |name: &str| {
            let value = fields.get(name)?.to_str().ok()?;
            Some(value.split(' ').map(str::to_owned).collect::<Vec<_>>())
        };
        let names = |name: &str| -> Option<Vec<HeaderName>> {
            let names = words(name)?.into_iter();
            Some(names.filter_map(|name| name.parse().ok()).collect())
        };
        let override_fields = names("override-fields").map(|mut names| {
            // Refused, as it differs for each client.
            names.retain(|name| dashed(name) != "x-forwarded-for");
            names
        });
        Self {
            namespace: lines(&fields, "namespace")
                .next()
                .unwrap_or_default()
                .to_vec(),
            spelling: match lines(&fields, "spelling").next() {
                Some(b"exact") => Spelling::Exact,
                Some(b"path") => Spelling::HostAndPath,
                _ => Spelling::Host,
            },
            sorted: is_set("sorted"),
            parameters: match (words("ignoring"), words("keeping")) {
                (Some(names), _) => Some((false, names)),
                (None, Some(names)) => Some((true, names)),
                (None, None) => None,
            },
            key_headers: names("key-headers").unwrap_or_default(),
            owner: names("key-by").and_then(|names| names.into_iter().next()),
            overrides: match lines(&fields, "overrides").next() {
                Some(b"strip") => Overrides::Strip,
                Some(b"refuse") => Overrides::Refuse,
                Some(b"ignore") => Overrides::Ignore,
                _ => Overrides::Key,
            },
            override_fields,
            trusts: is_set("trusts"),
        }
    }

    /// A layer that is set so.
    pub fn layer(&self) -> CacheLayer {
        let policy = match &self.parameters {
            None => QueryPolicy::exact(),
            Some((false, names)) => QueryPolicy::ignoring(names),
            Some((true, names)) => QueryPolicy::keeping(names),
        };
        let policy = if self.sorted { policy.sorted() } else { policy };
        let trusts = self.trusts;
        let mut layer = CacheLayer::new(1 << 20)
            .namespace(&self.namespace)
            .spelling(self.spelling)
            .query_policy(policy)
            .key_headers(self.key_headers.clone())
            .overrides(self.overrides)
            .trusted_peers(move |_| trusts);
        if let Some(names) = &self.override_fields {
            layer = layer.override_fields(names.clone());
        }
        if let Some(name) = self.owner.clone() {
            layer = layer
                .key_by(move |fields, _| fields.get(&name).map(|owner| owner.as_bytes().to_vec()));
        }
        layer
    }

    /// A request as the service sees it; none if it is refused.
    #[must_use]
    pub fn prepared(&self, request: &Request<()>) -> Option<Request<()>> {
        let mut prepared = request.clone();
        let headers = request.headers();
        if !self.trusts
            && self.overrides == Overrides::Refuse
            && !self.overrides_of(headers).is_empty()
        {
            return None;
        }
        if !self.trusts && self.overrides == Overrides::Strip {
            for name in headers.keys().filter(|name| self.is_override(name)) {
                prepared.headers_mut().remove(name);
            }
            for line in
                lines(headers, "forwarded").filter(|_| self.is_override(&http::header::FORWARDED))
            {
                let elements = split(line, b',').into_iter().map(|element| {
                    let pairs = split(&element, b';').into_iter();
                    pairs
                        .filter(|pair| is_of_client(pair))
                        .collect::<Vec<_>>()
                        .join(&b";"[..])
                });
                let elements: Vec<_> = elements.filter(|element| !element.is_empty()).collect();
                if !elements.is_empty() {
                    let line = HeaderValue::from_bytes(&elements.join(&b", "[..]));
                    prepared
                        .headers_mut()
                        .append("forwarded", line.expect("pieces of a line"));
                }
            }
        }
        *prepared.uri_mut() = self.respelt(request.uri());
        if self.spelling != Spelling::Exact
            && let Some(host) = host(&prepared)
        {
            let text = host.text();
            if prepared.headers().contains_key("host") {
                prepared
                    .headers_mut()
                    .insert("host", text.parse().expect("a host is a value"));
            }
            let mut parts = prepared.uri().clone().into_parts();
            if let Some(authority) = &mut parts.authority {
                *authority = text.parse().expect("a host is an authority");
            }
            *prepared.uri_mut() = Uri::from_parts(parts).expect("the parts of what was one");
        }
        Some(prepared)
    }

    fn respelt(&self, uri: &Uri) -> Uri {
        let mut parts = uri.clone().into_parts();
        // The authority-form has none.
        if let Some(target) = &parts.path_and_query {
            let path = match self.spelling {
                Spelling::HostAndPath => normal_path(target.path()),
                _ => target.path().to_owned(),
            };
            let target = match target.query().and_then(|query| self.counting(query)) {
                Some(query) => format!("{path}?{query}"),
                None => path,
            };
            parts.path_and_query = Some(target.parse().expect("a target of what was one"));
        }
        Uri::from_parts(parts).expect("the parts of what was one")
    }

    /// The query as it counts.
    fn counting(&self, query: &str) -> Option<String> {
        let may_hide = query.contains([';', '?']);
        if may_hide || (!self.sorted && self.parameters.is_none()) {
            return Some(query.to_owned());
        }
        let mut kept: Vec<(&str, &str)> = Vec::new();
        for parameter in query.split('&') {
            let name = parameter.split('=').next().unwrap_or_default();
            let counts = self
                .parameters
                .as_ref()
                .is_none_or(|(these, names)| names.iter().any(|other| other == name) == *these);
            if counts {
                // Behind all that are not greater, so that those of one name stay in order.
                let end = if self.sorted {
                    kept.iter().take_while(|one| one.0 <= name).count()
                } else {
                    kept.len()
                };
                kept.insert(end, (name, parameter));
            }
        }
        let parameters: Vec<_> = kept.iter().map(|(_, parameter)| *parameter).collect();
        (!parameters.is_empty()).then(|| parameters.join("&"))
    }

    /// What a prepared request names; none if it gets no key.
    #[must_use]
    pub fn named(&self, request: &Request<()>) -> Option<Named> {
        let (uri, headers) = (request.uri(), request.headers());
        let host = host(request)?;
        let spellings = spellings(request);
        let is_normal = spellings
            .into_iter()
            .flatten()
            .all(|text| text == host.text().as_bytes());
        let heeds = self.trusts || self.overrides != Overrides::Ignore;
        let key_headers = self.key_headers.iter().flat_map(|name| {
            lines(headers, name.as_str()).map(move |line| (name.to_string(), line.to_vec()))
        });
        Some(Named {
            target: Target {
                namespace: self.namespace.clone(),
                scheme: scheme(uri).to_owned(),
                host,
                path: Some(uri.path())
                    .filter(|path| !path.is_empty())
                    .unwrap_or("/")
                    .to_owned(),
                query: uri.query().map(ToOwned::to_owned),
            },
            more: More {
                spelled: (!is_normal)
                    .then(|| spellings.map(|text| text.unwrap_or_default().to_vec())),
                overrides: if heeds {
                    self.overrides_of(headers)
                } else {
                    Vec::new()
                },
                key_headers: (!self.key_headers.is_empty()).then(|| key_headers.collect()),
                owner: match &self.owner {
                    Some(name) => Some(headers.get(name)?.as_bytes().to_vec()),
                    None => None,
                },
            },
        })
    }

    fn overrides_of(&self, headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for (name, value) in headers.iter().filter(|(name, _)| self.is_override(name)) {
            if name == "forwarded" {
                let elements = split(value.as_bytes(), b',').into_iter();
                let pairs = elements.flat_map(|element| split(&element, b';'));
                all.extend(
                    pairs
                        .filter(|pair| !is_of_client(pair))
                        .map(|pair| (name.to_string(), pair)),
                );
            } else {
                all.push((name.to_string(), value.as_bytes().to_vec()));
            }
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    fn is_override(&self, name: &HeaderName) -> bool {
        let name = dashed(name);
        if let Some(names) = &self.override_fields {
            return names.iter().any(|other| dashed(other) == name);
        }
        let forwarded = name.strip_prefix("x-forwarded-");
        forwarded.is_some_and(|what| what != "for" && what != "by")
            || name == "forwarded"
            || USUAL.split_ascii_whitespace().any(|usual| usual == name)
    }
}

fn dashed(name: &HeaderName) -> String {
    name.as_str().replace('_', "-")
}

/// Of the client or of a proxy, and plainly nothing else.
fn is_of_client(pair: &[u8]) -> bool {
    let pair = String::from_utf8_lossy(pair).to_ascii_lowercase();
    let node = pair.strip_prefix("for=").or(pair.strip_prefix("by="));
    node.is_some_and(|node| {
        node.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._:[]\"".contains(c))
    })
}

/// The one host of a request, if it has one.
fn host(request: &Request<()>) -> Option<Host> {
    let scheme = scheme(request.uri());
    let hosts = spellings(request).into_iter().flatten();
    let hosts: Vec<_> = hosts
        .map(|text| Host::of(text, scheme))
        .collect::<Option<_>>()?;
    let agree = hosts.iter().all(|other| *other == hosts[0]);
    let is_one = agree && !scheme.is_empty() && lines(request.headers(), "host").count() < 2;
    hosts.into_iter().next().filter(|_| is_one)
}

/// The host in the target, and that in the field.
fn spellings(request: &Request<()>) -> [Option<&[u8]>; 2] {
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    [authority, lines(request.headers(), "host").next()]
}

fn scheme(uri: &Uri) -> &str {
    uri.scheme_str().unwrap_or("http")
}

/// What a request names.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// What can be purged.
    pub target: Target,
    /// What else is part of its key.
    pub more: More,
}

/// A target in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As set.
    pub namespace: Vec<u8>,
    /// `http` where none is written.
    pub scheme: String,
    /// In its normal form.
    pub host: Host,
    /// A slash at least, or the asterisk.
    pub path: String,
    /// Without its mark.
    pub query: Option<String>,
}

/// What is not of the target.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct More {
    spelled: Option<[Vec<u8>; 2]>,
    overrides: Vec<(String, Vec<u8>)>,
    key_headers: Option<Vec<(String, Vec<u8>)>>,
    owner: Option<Vec<u8>>,
}
