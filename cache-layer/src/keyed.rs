//! Requests whose content is part of their key: QUERY (RFC 10008), and gRPC methods by name.

use crate::body::{RequestBody, ResponseBody, as_bytes};
use crate::cache_status::{Details, Outcome};
use crate::fill::Lifetimes;
use crate::key::Key;
use crate::look::Look;
use crate::miss::Miss;
use crate::refresh::{is_renewable, refresh};
use crate::rfc9111::reuse::Forward;
use crate::service::{Cache, unsatisfied};
use crate::shared::Shared;
use bytes::{Bytes, BytesMut};
use http::{Request, Response, request};
use http_body::{Body, Frame};
use std::collections::VecDeque;
use std::sync::Arc;
use tower::{BoxError, ServiceExt};
use tower_service::Service;

/// A request whose content is still to be read.
pub(crate) struct Keyed<S> {
    shared: Arc<Shared>,
    service: S,
    look: Look,
    lifetimes: Lifetimes,
}

impl<S> Keyed<S> {
    pub(crate) fn new(cache: &Cache<S>, look: Look, lifetimes: Lifetimes) -> Self
    where
        S: Clone,
    {
        Self {
            shared: Arc::clone(cache.shared()),
            service: cache.get_ref().clone(),
            look,
            lifetimes,
        }
    }

    /// # Cancel safety
    /// As for any request: what has been read of the content is gone with its client.
    pub(crate) async fn answer<B, R>(
        self,
        parts: request::Parts,
        body: B,
    ) -> Result<Response<ResponseBody<R>>, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
        R: Body<Data = Bytes> + Send + 'static,
    {
        let Self {
            shared,
            service,
            mut look,
            lifetimes,
        } = self;
        let content = match read(body, shared.settings.max_key_content).await {
            Ok(content) => content,
            Err(body) => {
                shared.counters.bypassed.count();
                return forward(&shared, service, parts, body, Forward::Bypass).await;
            }
        };
        let with_content =
            |key: &Key| shared.content_key(key, &parts.method, &parts.headers, &content);
        look.key = with_content(&look.key);
        if let Some(search) = &mut look.search {
            search.exact = with_content(&search.exact);
        }
        let request = Request::from_parts(parts, ());
        let why = match look.up(&shared, request.headers()) {
            Ok(found) if !found.is_stale() || is_renewable(&shared, &found, &request) => {
                let (parts, ()) = request.into_parts();
                shared.counters.hits.count();
                if found.is_stale() {
                    shared.counters.stale.count();
                }
                if found.renews() {
                    let stored = found.stored();
                    refresh(&shared, &service, &parts, content, &look, stored, lifetimes);
                }
                return Ok(look.answer(&shared, &found, &parts.headers));
            }
            Ok(_) => Forward::Stale,
            Err(why) => why,
        };
        let (parts, ()) = request.into_parts();
        if look.wants.only_if_cached {
            shared.counters.unsatisfied.count();
            return Ok(unsatisfied());
        }
        if look.wants.no_store {
            shared.counters.misses.count();
            let body = RequestBody::bytes(content);
            return forward(&shared, service, parts, body, why).await;
        }
        let miss = Miss {
            shared,
            service,
            look,
            forward: why,
            content,
            lifetimes,
        };
        miss.answer(parts).await
    }
}

/// The whole content, if it is within the limit and has no trailers; else the body as it was.
async fn read<B>(body: B, limit: u64) -> Result<Bytes, RequestBody<B>>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    if body.size_hint().lower() > limit {
        return Err(RequestBody::original(body));
    }
    let mut body = Box::pin(body);
    let mut read = VecDeque::new();
    let mut length = 0;
    loop {
        let next = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        let then = match next {
            None => break,
            Some(Ok(frame)) => {
                let frame = as_bytes(frame);
                let data = frame.data_ref().map(|data| data.len() as u64);
                length += data.unwrap_or_default();
                read.push_back(frame);
                if data.is_some() && length <= limit {
                    continue;
                }
                None
            }
            Some(Err(error)) => Some(error.into()),
        };
        return Err(RequestBody::resumed(read, then, body));
    }
    let mut content = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
    for data in read.iter().filter_map(Frame::data_ref) {
        content.extend_from_slice(data);
    }
    Ok(content.freeze())
}

async fn forward<S, B, R>(
    shared: &Shared,
    service: S,
    parts: request::Parts,
    body: RequestBody<B>,
    why: Forward,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
{
    let mut response = service.oneshot(Request::from_parts(parts, body)).await?;
    let field = &shared.settings.status_field;
    let outcome = Outcome::forwarded(why);
    field.append(response.headers_mut(), outcome, &Details::default());
    Ok(response.map(ResponseBody::own))
}
