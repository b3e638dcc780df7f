//! What to do with a request, by its head alone.

use crate::fill::Lifetimes;
use crate::key::{Named, NoKey};
use crate::look::{Found, Look};
use crate::request::{Facts, target_uri};
use crate::rfc9111::directives::RequestDirectives;
use crate::rfc9111::reuse::Forward;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::stats::Bypass;
use crate::warm::Warming;
use crate::write::Write;
use http::{Method, Request, StatusCode, Uri, header};
use http_body::Body;

/// What may become of a request that is no mere hit.
pub(crate) enum Other {
    /// Turn it away.
    Refuse(StatusCode, Bypass),
    /// Bring its host into the form that its key has, first.
    Respell,
    /// Pass it on; the cache has no part in it.
    Bypass(Bypass),
    /// Pass it on; nothing is stored under such a method, nor changed by it.
    Method,
    /// Pass it on; what it succeeds at invalidates the target.
    Write(Box<Write>),
    /// As much, and its answer may answer others.
    Post(Box<Write>),
    /// Read its content first, which is part of its key.
    ReadContent(Box<Look>, Lifetimes),
    /// Answer by what was found, and fetch it anew in the background.
    Renew(Box<Look>, Found),
    /// Ask the service, for nothing stored will do.
    Ask(Box<Look>, Forward),
}

/// Brings a request into the form that its key is made of.
#[cold]
pub(crate) fn prepare<B>(settings: &Settings, request: &mut Request<B>) -> Result<(), StatusCode> {
    let reads = is_read(request.method()) || content_keyed(settings, request).is_some();
    settings.keys.prepare(request, reads)
}

fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// Has the store looked into, if that is what to do with a request as far as its head tells.
pub(crate) fn plan<'a, B: Body, T>(
    shared: &'a Shared,
    request: &'a Request<B>,
    up: impl FnOnce(&Look<Named<'a>>) -> Result<T, Other>,
) -> Result<T, Other> {
    let (method, settings) = (request.method(), &shared.settings);
    let read = is_read(method);
    let with_content = if read {
        None
    } else {
        content_keyed(settings, request)
    };
    let query = method.as_str() == "QUERY";
    if !read && with_content.is_none() && (method.is_safe() || *method == Method::CONNECT || query)
    {
        return Err(Other::Method);
    }
    let facts = settings.facts(request.headers());
    let uri = target_uri(request);
    if !read && with_content.is_none() {
        return Err(write(shared, uri, &facts, request));
    }
    let has_content = read && (facts.chunked || !request.body().is_end_stream());
    let passes = if facts.method_override {
        Some(Bypass::MethodOverride)
    } else if has_content {
        Some(Bypass::Content)
    } else if facts.not_ours {
        Some(Bypass::Conditions)
    } else if settings.bypasses(&facts) {
        Some(Bypass::Credentials)
    } else {
        None
    };
    let named = shared.named(uri, &facts, request.headers(), request.extensions());
    let mut key = match (named, passes) {
        (Ok(_) | Err(NoKey::Spelled), Some(why)) => return Err(Other::Bypass(why)),
        (Ok(key), None) => key,
        (Err(NoKey::Spelled), None) => return Err(Other::Respell),
        (Err(why), _) => return Err(no_key(settings, why, read)),
    };
    let mut search = None;
    if settings.no_vary_search {
        let asked = shared.asked(key.into_key());
        let found = asked.by.as_ref().map(|by| shared.key_by(&asked.exact, by));
        key = Named::Whole(found.unwrap_or_else(|| asked.exact.clone()));
        search = Some(Box::new(asked));
    }
    let mut wants = if facts.directives {
        RequestDirectives::parse(request.headers())
    } else {
        RequestDirectives::default()
    };
    // Asked for anew, although it may be there.
    wants.no_cache |= shared.is_warming() && request.extensions().get::<Warming>().is_some();
    let head_only = *method == Method::HEAD;
    let look = Look {
        key,
        search,
        asked: settings.asked(&facts),
        conditions: facts.conditions,
        // RFC 9110 section 14.2: a range is asked for by GET; a QUERY asks for content as that does.
        range: facts.range && (*method == Method::GET || query),
        head_only,
        wants,
    };
    match with_content {
        Some(lifetimes) => Err(Other::ReadContent(look.own(), lifetimes)),
        None => up(&look),
    }
}

/// RFC 9111 section 4.4: an unsafe method, or one we do not know, invalidates.
#[cold]
fn write<B>(shared: &Shared, uri: &Uri, facts: &Facts<'_>, request: &Request<B>) -> Other {
    let settings = &shared.settings;
    let write = match shared.write(uri, facts, request) {
        Ok(write) => Box::new(write),
        Err(why) => return no_key(settings, why, false),
    };
    let post = settings.store_post && *request.method() == Method::POST;
    if post && !facts.method_override && !settings.bypasses(facts) {
        Other::Post(write)
    } else {
        Other::Write(write)
    }
}

#[cold]
fn no_key(settings: &Settings, why: NoKey, read: bool) -> Other {
    match settings.keys.refusal(why) {
        Some(status) => Other::Refuse(status, why.into()),
        None if read => Other::Bypass(why.into()),
        None => Other::Method,
    }
}

/// Whether the content of such a request is part of its key, and how long its answers live.
fn content_keyed<B>(settings: &Settings, request: &Request<B>) -> Option<Lifetimes> {
    if settings.query && request.method().as_str() == "QUERY" {
        return Some(Lifetimes::Usual);
    }
    if settings.grpc.is_empty() || *request.method() != Method::POST {
        return None;
    }
    let kind = request.headers().get(header::CONTENT_TYPE)?;
    if !kind.as_bytes().starts_with(b"application/grpc") {
        return None;
    }
    let path = target_uri(request).path();
    let (_, ttl) = settings.grpc.iter().find(|(method, _)| **method == *path)?;
    Some(Lifetimes::Default(*ttl))
}
