//! Answers to POST that answer later GET requests (RFC 9110 section 9.3.3).

use crate::body::{RequestBody, ResponseBody};
use crate::cache_status::{Details, Outcome};
use crate::fill::{Answer, Arrival, Lifetimes};
use crate::rfc9111::directives::RequestDirectives;
use crate::rfc9111::invalidation::resolve;
use crate::rfc9111::reuse::Forward;
use crate::rfc9111::storable::Asked;
use crate::rfc9111::vary::Selection;
use crate::search;
use crate::service::{Cache, unsatisfied};
use crate::shared::Shared;
use crate::write::Write;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header, request};
use http_body::Body;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower::{BoxError, ServiceExt};
use tower_service::Service;

/// A POST on its way.
pub(crate) struct Post<S> {
    shared: Arc<Shared>,
    service: S,
    write: Box<Write>,
}

impl<S> Post<S> {
    pub(crate) fn new(cache: &Cache<S>, write: Box<Write>) -> Self
    where
        S: Clone,
    {
        Self {
            shared: Arc::clone(cache.shared()),
            service: cache.get_ref().clone(),
            write,
        }
    }

    /// # Cancel safety
    /// Dropping it takes the request back, as far as the service allows; an answer that is being
    /// stored by then goes on to the store.
    pub(crate) async fn answer<B, R>(
        self,
        parts: request::Parts,
        body: B,
    ) -> Result<Response<ResponseBody<R>>, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        S::Error: Send + 'static,
        B: Body,
        B::Error: Into<BoxError>,
        R: Body<Data = Bytes> + Send + 'static,
    {
        let Self {
            shared,
            service,
            write,
        } = self;
        let fields = parts.headers.clone();
        let sent = Instant::now();
        let request = Request::from_parts(parts, RequestBody::original(body));
        let mut response = service.oneshot(request).await?;
        let at = Instant::now();
        let status = response.status();
        // RFC 9111 section 4.4: a non-error answer to an unsafe method.
        if status.is_success() || status.is_redirection() {
            shared.written(&write, response.headers());
        }
        let mut outcome = Outcome::forwarded(Forward::Method);
        let field = &shared.settings.status_field;
        if !represents_target(&shared, &write, &response) {
            field.append(response.headers_mut(), outcome, &Details::default());
            return Ok(response.map(ResponseBody::own));
        }
        // Numbered after the write it made itself.
        let search = shared.settings.no_vary_search.then(|| {
            let asked = shared.asked(write.key.clone());
            Box::new(search::Asked { by: None, ..asked })
        });
        let newcomer = shared.newcomer(Selection::default(), search);
        let (lead, seat) = shared.pool.fills.alone(&write.key, newcomer);
        let (sender, receiver) = oneshot::channel();
        let task = {
            let shared = Arc::clone(&shared);
            async move {
                let facts = shared.settings.facts(&fields);
                let arrival = Arrival {
                    shared: &shared,
                    lead: &lead,
                    asked: Asked {
                        no_store: RequestDirectives::parse(&fields).no_store,
                        ..shared.settings.asked(&facts)
                    },
                    fields: &fields,
                    lifetimes: Lifetimes::Stated,
                    sent,
                    at,
                };
                arrival.settle(response, sender).await;
            }
        };
        // Boxed as a job is.
        tokio::spawn(Box::pin(task));
        let told: Result<Answer<R>, S::Error> = match receiver.await {
            Ok(answer) => answer,
            // The runtime is shutting down, and this future with it.
            Err(_) => std::future::pending().await,
        };
        Ok(match told? {
            Answer::Shared {
                mut parts,
                head,
                stored,
            } => {
                outcome.stored = stored;
                field.append(&mut parts.headers, outcome, &Details::default());
                Response::from_parts(parts, ResponseBody::shared(seat, head.length()))
            }
            Answer::Own(mut response) => {
                field.append(response.headers_mut(), outcome, &Details::default());
                response.map(ResponseBody::own)
            }
            // Cannot be: it was not asked about what is stored.
            _ => unsatisfied(),
        })
    }
}

/// A 200 that says it is what a GET of the same target would have got.
fn represents_target<R>(shared: &Shared, write: &Write, response: &Response<R>) -> bool {
    let named = |target| resolve(target, response.headers().get(header::CONTENT_LOCATION)?);
    let uri = write.target.as_ref().and_then(named);
    let key = uri.and_then(|uri| shared.uri_key(&uri).ok());
    write.may_store
        && response.status() == StatusCode::OK
        && key.is_some_and(|key| key.uri_digest() == write.key.uri_digest())
}
