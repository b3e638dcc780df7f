//! The body of a fill: read to its end, shown to the readers, stored if it is whole.

use super::table::Lead;
use crate::shared::Shared;
use crate::store::{Head, Stored};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use std::pin::{Pin, pin};
use std::sync::Arc;

/// How far a body that is not kept is read ahead of its slowest reader, in bytes, while there is room.
const WINDOW: u64 = 64 * 1024;

/// Reads the body to its end, shows it to the readers, and stores it if it is whole.
pub(super) async fn read<B: Body<Data = Bytes>>(
    shared: &Shared,
    lead: &Lead,
    head: Arc<Head>,
    body: B,
) {
    let mut body = pin!(body);
    let limit = shared.settings.max_body_bytes();
    let mut kept = Some(Vec::new());
    let mut total = 0u64;
    let mut trailers = None;
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
        total += data.len() as u64;
        if kept.is_some() && (total > limit || !shared.store.has_room()) {
            kept = None;
            lead.leave_table();
            lead.fill.pass();
        }
        let last = body.is_end_stream();
        if let Some(frames) = &mut kept {
            frames.push(data.clone());
            if last {
                // A client that counts octets comes back at the last one: have it stored by then.
                store(shared, lead, &head, frames, None);
            }
        }
        lead.fill.push(data);
        if last {
            lead.fill.complete(None);
            return;
        }
        if kept.is_none() {
            let window = if shared.store.has_room() { WINDOW } else { 0 };
            if !lead.fill.room(window).await {
                return;
            }
        }
    }
    if let Some(frames) = &kept {
        store(shared, lead, &head, frames, trailers.clone());
    }
    lead.fill.complete(trailers);
}

async fn next_frame<B: Body>(
    mut body: Pin<&mut B>,
) -> Option<Result<http_body::Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await
}

/// A body shorter or longer than its stated length is not whole (RFC 9111 section 3.3).
pub(super) fn store(
    shared: &Shared,
    lead: &Lead,
    head: &Head,
    frames: &[Bytes],
    trailers: Option<HeaderMap>,
) {
    let total = frames.iter().map(Bytes::len).sum::<usize>();
    if head.length.is_some_and(|length| length != total as u64) {
        return;
    }
    let mut body = BytesMut::with_capacity(total);
    frames
        .iter()
        .for_each(|frame| body.extend_from_slice(frame));
    let stored = Stored::new(
        shared.store.ledger(),
        Head::clone(head),
        body.freeze(),
        trailers,
    );
    shared.put(&lead.fill.key, stored);
}
