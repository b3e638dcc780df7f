//! Fetching anew in the background what was served stale (RFC 5861 section 3).

use crate::body::RequestBody;
use crate::fill::{Ask, Job, Joined, Lifetimes};
use crate::key;
use crate::look::Look;
use crate::request::is_target_override;
use crate::rfc9111::directives::RequestDirectives;
use crate::rfc9111::storable::Asked;
use crate::rfc9111::validation::has_validator;
use crate::shared::Shared;
use crate::store::{Content, Stored};
use crate::warm::Fetch;
use bytes::Bytes;
use http::{Method, Request, Response, header, request};
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
    tokio::spawn(job.run(nobody));
}

/// The request that any client could have sent: the target, and the fields that the answer depends on.
/// No credentials, nothing of the one who happened to come by: none, where the answer depends on those.
fn request_for_all(
    shared: &Shared,
    client: &request::Parts,
    stored: &Stored,
) -> Option<request::Parts> {
    let (mut parts, ()) = Request::new(()).into_parts();
    // Also where the content is empty: it is part of the key.
    let has_content = client.method != Method::GET && client.method != Method::HEAD;
    if has_content {
        parts.method = client.method.clone();
    }
    parts.uri = client.uri.clone();
    parts.version = client.version;
    let selection = stored.head.selection();
    let selecting = |name| selection.names().any(|nominated| nominated == name);
    for (name, value) in &client.headers {
        // Override fields are part of the key: whoever comes by here has the same.
        let shared_by_all = name == header::HOST
            || is_target_override(name.as_str())
            || selecting(name)
            || (has_content && (key::says_of_content(name) || name == header::TE));
        if shared_by_all && shared.settings.is_credential(name) {
            return None;
        }
        if shared_by_all {
            parts.headers.append(name.clone(), value.clone());
        }
    }
    shared
        .settings
        .carry(&client.extensions, &mut parts.extensions);
    parts.extensions.insert(Fetch::Refresh);
    Some(parts)
}
