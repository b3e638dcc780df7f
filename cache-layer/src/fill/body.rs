//! The body of a fill: read to its end, shown to the readers, stored if it is whole.

use super::judge::{holds_better, is_grpc};
use super::table::Lead;
use crate::key::Key;
use crate::rfc9111::parts::Parts;
use crate::rfc9111::range::ContentRange;
use crate::rfc9111::storable::header_bytes;
use crate::shared::Shared;
use crate::store::{Content, Head, Stored};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::time::Instant;

/// How far a body that is not kept is read ahead of its slowest reader, in bytes, while there is room.
const WINDOW: u64 = 64 * 1024;

/// What the octets of a fill are.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    /// Of the whole, this part.
    pub(super) part: Option<ContentRange>,
    /// What was there already, and goes around what the origin sends.
    pub(super) before: Bytes,
    pub(super) after: Bytes,
    /// Octets of all this, where they are known before they have come.
    pub(super) length: Option<u64>,
}

impl Shape {
    /// Whether so many octets may end here. What the origin sends is its own to vouch for; what was
    /// put together is ours.
    fn may_end(&self, total: u64) -> bool {
        let alone = self.before.is_empty() && self.after.is_empty();
        alone || self.length.is_none_or(|length| length == total)
    }
}

/// Reads the body to its end, shows it to the readers, and stores it, if it is to be, and whole.
pub(super) async fn read<B: Body<Data = Bytes>>(
    shared: &Shared,
    lead: &Lead,
    to_store: Option<(Key, Arc<Head>)>,
    shape: Shape,
    body: B,
) {
    let mut body = pin!(body);
    let limit = shared.settings.max_body_bytes();
    let store = &shared.pool.store;
    let store_all = |frames: &[Bytes], trailers| {
        if let Some((key, head)) = &to_store {
            keep(shared, key, head, &shape, frames, trailers);
        }
    };
    let mut kept = to_store.is_some().then(Vec::new);
    if kept.is_none() {
        // Out of the table first: who comes now could not begin at the start.
        lead.leave_table();
        lead.fill.pass();
    }
    let mut total = 0u64;
    let mut trailers = None;
    if !shape.before.is_empty() {
        total += shape.before.len() as u64;
        kept.iter_mut()
            .for_each(|frames| frames.push(shape.before.clone()));
        lead.fill.push(shape.before.clone());
    }
    loop {
        let frame = match next_frame(body.as_mut()).await {
            Some(Ok(frame)) => frame,
            // The lead breaks off the fill when it is dropped.
            Some(Err(_)) => return,
            None => break,
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                trailers = frame.into_trailers().ok();
                continue;
            }
        };
        let length = data.len() as u64;
        let fits = || store.make_room(total, length) && lead.fill.reserve(length);
        if kept.is_some() && (total + length > limit || !fits()) {
            kept = None;
            lead.leave_table();
            lead.fill.pass();
        }
        total += length;
        let last = body.is_end_stream() && shape.after.is_empty();
        if let Some(frames) = &mut kept {
            frames.push(data.clone());
            if last {
                // A client that counts octets comes back at the last one: have it stored by then.
                store_all(frames, None);
            }
        }
        lead.fill.push(data);
        if last {
            if shape.may_end(total) {
                lead.fill.complete(None);
            }
            return;
        }
        if kept.is_none() {
            // What is short enough to be stored, but kept out, is shared as if it were: nobody is cut off.
            let shared_window = match to_store {
                None if total <= limit && store.ledger().has_room(1) => limit,
                _ => WINDOW,
            };
            if !lead.fill.room(WINDOW, shared_window).await {
                return;
            }
        }
    }
    if !shape.after.is_empty() {
        total += shape.after.len() as u64;
        if !shape.may_end(total) {
            // The gap was not filled: what comes behind it must not close up.
            return;
        }
        if let Some(frames) = &mut kept {
            frames.push(shape.after.clone());
        }
        lead.fill.push(shape.after.clone());
    }
    if let Some(frames) = &kept {
        store_all(frames, trailers.clone());
    }
    if shape.may_end(total) {
        lead.fill.complete(trailers);
    }
}

async fn next_frame<B: Body>(
    mut body: Pin<&mut B>,
) -> Option<Result<http_body::Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await
}

/// Stores what has come, if it is all of it: a body shorter or longer than its stated length is not
/// (RFC 9111 section 3.3), nor is a gRPC answer without the trailer that says so. Trailers have the limit
/// of fields.
pub(super) fn keep(
    shared: &Shared,
    key: &Key,
    head: &Head,
    shape: &Shape,
    frames: &[Bytes],
    trailers: Option<HeaderMap>,
) {
    let total = frames.iter().map(Bytes::len).sum::<usize>();
    let most = shared.settings.max_header_bytes;
    if shape.length.is_some_and(|length| length != total as u64)
        || trailers
            .as_ref()
            .is_some_and(|fields| header_bytes(fields) > most)
        || !grpc_succeeded(head.headers(), trailers.as_ref())
        // Since its head was judged, another fill may have brought something.
        || (head.status().is_server_error() && holds_better(shared, key, Instant::now()))
    {
        return;
    }
    let store = &shared.pool.store;
    let own = total as u64;
    let ledger = store.ledger();
    let body = store.make_room(own, own).then(|| frames.concat());
    let content = match (body, shape.part) {
        (None, _) => None,
        (Some(body), None) => ledger.hold(body).map(Content::Whole),
        (Some(body), Some(part)) => match Parts::new(part, body.into()) {
            Some(parts) => Content::of(parts.at_most(shared.settings.max_body_bytes()), ledger),
            None => return,
        },
    };
    let Some(content) = content else {
        shared.counters.refused_room.count();
        return;
    };
    let stored = Stored::new(ledger, Head::clone(head), content, trailers);
    shared.put(key, Arc::new(stored), None);
}

/// What is no gRPC answer has nothing to say here.
fn grpc_succeeded(headers: &HeaderMap, trailers: Option<&HeaderMap>) -> bool {
    let status = |fields: &HeaderMap| fields.get("grpc-status").map(|status| status == "0");
    !is_grpc(headers) || trailers.and_then(status).or(status(headers)) == Some(true)
}
