//! How a refusal is said: in HTTP, in gRPC, or as the service's owner wants it.

mod delay;
mod grpc;
mod overloaded;
mod problem;

use http::{Method, Response, Version, request::Parts};

pub(crate) use delay::jittered;
pub use overloaded::{Overloaded, OverloadedKind};

use crate::{Head, ResponseBody};

/// Answers a refused request: [`ProblemDetails`], or a closure given to
/// [`with_rejection`](crate::MemGuardLayer::with_rejection).
pub trait Rejection<B>: private::Respond<B> {}

impl<B, R: private::Respond<B>> Rejection<B> for R {}

/// The default answer.
///
/// HTTP: 503 with Retry-After and a problem document `temporary-reduced-capacity` (RFC 9457), or 413 if the body can
/// never fit; `cache-control: no-store`, and on HTTP/1 `connection: close` if the body was not read or there is no room:
/// the buffers of an idle connection, some 20 KB, are room as well. gRPC (by the request's content-type): status `RESOURCE_EXHAUSTED` in a response without a body, with `grpc-retry-pushback-ms`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemDetails;

/// What is remembered of a request until it is known whether it is refused.
#[derive(Debug)]
pub struct Asked {
    grpc: bool,
    head: bool,
    /// The request has a body that may not be read to its end.
    unread: bool,
    http1: bool,
    parts: Option<Box<Parts>>,
}

impl Asked {
    pub(crate) fn by(head: Head<'_>, unread: bool, keep_parts: bool) -> Self {
        Self {
            grpc: grpc::is_grpc(head.headers),
            head: head.method == Method::HEAD,
            unread,
            http1: head.version <= Version::HTTP_11,
            parts: keep_parts.then(|| Box::new(head.to_parts())),
        }
    }
}

pub(crate) mod private {
    use super::{Asked, Overloaded, Response, ResponseBody};

    /// Sealed: outside this crate only `Rejection` is named.
    pub trait Respond<B> {
        /// Whether the answer needs the whole head of the request.
        const KEEPS_PARTS: bool;

        fn respond(&self, asked: &Asked, why: &Overloaded) -> Response<ResponseBody<B>>;
    }
}

impl<B> private::Respond<B> for ProblemDetails {
    const KEEPS_PARTS: bool = false;

    fn respond(&self, asked: &Asked, why: &Overloaded) -> Response<ResponseBody<B>> {
        let mut response = if asked.grpc {
            grpc::answer(why)
        } else {
            problem::answer(asked, why)
        };
        response.extensions_mut().insert(why.clone());
        response
    }
}

impl<B, F: Fn(&Head<'_>, &Overloaded) -> Response<B>> private::Respond<B> for F {
    const KEEPS_PARTS: bool = true;

    fn respond(&self, asked: &Asked, why: &Overloaded) -> Response<ResponseBody<B>> {
        let parts = asked
            .parts
            .as_deref()
            .expect("kept, since this answer needs it");
        let response = self(&parts.into(), why);
        let mut response = response.map(|body| ResponseBody::passed(body, None));
        response.extensions_mut().insert(why.clone());
        response
    }
}
