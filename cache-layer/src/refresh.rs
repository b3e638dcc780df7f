//! Fetching anew in the background what was served stale (RFC 5861 section 3).

use crate::body::RequestBody;
use crate::fill::{Ask, Job, Joined, Lifetimes};
use crate::key;
use crate::look::{Found, Look};
use crate::rfc9111::directives::RequestDirectives;
use crate::rfc9111::storable::Asked;
use crate::rfc9111::validation::has_validator;
use crate::shared::Shared;
use crate::store::{Content, Stored};
use crate::warm::Fetch;
use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Request, Response, header, request};
use http_body::Body;
use std::sync::Arc;
use tokio::sync::oneshot;
use tower_service::Service;

/// Sends one request for all who are served meanwhile, unless one is on its way.
pub(crate) fn refresh<S, B, R>(
    shared: &Arc<Shared>,
    service: &S,
    client: &request::Parts,
    content: Bytes,
    look: &Look,
    stored: &Arc<Stored>,
    lifetimes: Lifetimes,
) where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
{
    if matches!(stored.content, Content::Parts(_)) {
        // Parts come anew with those who ask for them.
        return;
    }
    let Some(request) = request_for_all(shared, client, stored) else {
        return;
    };
    let joined = shared.join_or_lead(look, &request.headers, || None::<()>);
    let Joined::Leads(lead, seat) = joined else {
        return;
    };
    shared.counters.refreshed.count();
    drop(seat);
    let ask = if has_validator(stored.head.headers()) {
        Ask::Whether(Arc::clone(stored))
    } else {
        Ask::Afresh
    };
    let job = Job {
        shared: Arc::clone(shared),
        service: service.clone(),
        request,
        content,
        asked: Asked::default(),
        wants: RequestDirectives::default(),
        lifetimes,
        lead,
        ask,
        fallback: None,
    };
    let (nobody, _) = oneshot::channel();
    job.spawn(nobody);
}

/// Whether a request that any client could have sent can fetch it anew: else it is not used stale.
#[cold]
pub(crate) fn is_renewable<B>(shared: &Shared, found: &Found, client: &Request<B>) -> bool {
    let (headers, extensions) = (client.headers(), client.extensions());
    for_all(shared, client.method(), headers, extensions, found.stored()).is_some()
}

/// The request that any client could have sent.
fn request_for_all(
    shared: &Shared,
    client: &request::Parts,
    stored: &Stored,
) -> Option<request::Parts> {
    let (mut parts, ()) = Request::new(()).into_parts();
    let (method, headers, extensions) = (&client.method, &client.headers, &client.extensions);
    (parts.headers, parts.extensions) = for_all(shared, method, headers, extensions, stored)?;
    // Also where the content is empty: it is part of the key.
    if has_content(method) {
        parts.method = method.clone();
    }
    parts.uri = client.uri.clone();
    parts.version = client.version;
    Some(parts)
}

fn has_content(method: &Method) -> bool {
    *method != Method::GET && *method != Method::HEAD
}

/// What any client could have said that asks for the same: what the key is made of, and what the answer
/// depends on. No credentials, nothing of the one who happened to come by: none, where the key is made
/// of those.
fn for_all(
    shared: &Shared,
    method: &Method,
    client: &HeaderMap,
    extensions: &Extensions,
    stored: &Stored,
) -> Option<(HeaderMap, Extensions)> {
    let keys = &shared.settings.keys;
    let selection = stored.head.selection();
    let selecting = |name| selection.names().any(|nominated| nominated == name);
    let of_content = |name| key::says_of_content(name) || name == header::TE;
    let mut fields = HeaderMap::new();
    for (name, value) in client {
        let by_all = name == header::HOST
            || keys.fields.contains(name)
            || selecting(name)
            || (has_content(method) && of_content(name));
        let value = if by_all {
            Some(value.clone())
        } else {
            keys.override_fields.for_all(name, value)
        };
        if let Some(value) = value {
            if shared.settings.is_credential(name) {
                return None;
            }
            fields.append(name.clone(), value);
        }
    }
    let mut carried = Extensions::new();
    shared.settings.carry(extensions, &mut carried);
    carried.insert(Fetch::Refresh);
    let owner = |headers, extensions| keys.owner.as_ref().map(|owner| owner(headers, extensions));
    (owner(client, extensions) == owner(&fields, &carried)).then_some((fields, carried))
}
