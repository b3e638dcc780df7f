//! The service: admit, refuse, or wait for room.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use tower_service::Service;

use crate::{
    BoxError, Overloaded, OverloadedKind, ProblemDetails, Rejection, RequestBody, Reservation,
    ResponseBody, ResponseFuture,
    admission::Need,
    body::{Fate, Meter},
    future::{Reply, State, Waiting, Watch},
    guard::Guard,
    reclaim::make_room,
    rejection::Asked,
};

type Exempt = dyn Fn(&Parts) -> bool + Send + Sync;

/// What a layer was told, as its services use it.
pub(crate) struct Settings<R> {
    pub(crate) guard: Arc<Guard>,
    pub(crate) factor: u32,
    pub(crate) exempt: Option<Arc<Exempt>>,
    pub(crate) rejection: Arc<R>,
}

impl<R> Settings<R> {
    /// Calls `service` if the verdict is to admit, otherwise turns to the refusal.
    pub(crate) fn carry_out<S, B, ResB>(
        &self,
        verdict: Result<Option<Reservation>, Overloaded>,
        service: &mut S,
        Incoming { parts, body, need }: Incoming<B>,
    ) -> State<S, B, R, S::Future>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<ResB>>,
        R: Rejection<ResB>,
    {
        let reply = |parts: &Parts| Reply {
            rejection: Arc::clone(&self.rejection),
            asked: Asked::by(parts, need != Need::Nothing, R::KEEPS_PARTS),
        };
        let (body, watch) = match verdict {
            Ok(None) => (RequestBody::unmetered(body), None),
            Ok(Some(reservation)) => {
                let fate = Arc::new(Fate::default());
                let whole = matches!(need, Need::Whole(_));
                let meter = Meter::new(reservation, whole, self.factor, Arc::clone(&fate));
                let reply = reply(&parts);
                (
                    RequestBody::metered(body, meter),
                    Some(Watch { fate, reply }),
                )
            }
            Err(why) => {
                self.guard.count_rejected();
                return State::Refused {
                    reply: reply(&parts),
                    why,
                };
            }
        };
        State::Called {
            future: service.call(Request::from_parts(parts, body)),
            watch,
        }
    }
}

/// A request before its service is called.
pub(crate) struct Incoming<B> {
    pub(crate) parts: Parts,
    pub(crate) body: B,
    pub(crate) need: Need,
}

impl<R> Clone for Settings<R> {
    fn clone(&self) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
            factor: self.factor,
            exempt: self.exempt.clone(),
            rejection: Arc::clone(&self.rejection),
        }
    }
}

impl<R> fmt::Debug for Settings<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("guard", &self.guard)
            .field("factor", &self.factor)
            .finish_non_exhaustive()
    }
}

/// A service that is asked only for what fits the memory budget; made by [`MemGuardLayer`](crate::MemGuardLayer).
///
/// The service below gets `Request<RequestBody<B>>`. Readiness is its own, passed through. It must be `Clone` for the
/// rare request that waits for room: that one takes the ready service along and leaves a clone behind.
pub struct MemGuard<S, R = ProblemDetails> {
    inner: S,
    settings: Arc<Settings<R>>,
}

impl<S, R> MemGuard<S, R> {
    pub(crate) const fn new(inner: S, settings: Arc<Settings<R>>) -> Self {
        Self { inner, settings }
    }

    /// The service below.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service below, mutable.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service below, taken out.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, R> Clone for MemGuard<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            settings: Arc::clone(&self.settings),
        }
    }
}

impl<S, R> fmt::Debug for MemGuard<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemGuard")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<S, R, B, ResB> Service<Request<B>> for MemGuard<S, R>
where
    S: Service<Request<RequestBody<B>>, Response = Response<ResB>> + Clone,
    R: Rejection<ResB>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
    ResB: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let settings = &self.settings;
        let (need, verdict) = match &settings.exempt {
            Some(exempt) if exempt(&parts) => (Need::Nothing, Ok(None)),
            _ => {
                let need = Need::of(&parts.headers, &body, settings.factor);
                (need, settings.guard.admit(need))
            }
        };
        // Most requests end here: a call with nothing to watch.
        if let Ok(None) = verdict {
            let request = Request::from_parts(parts, RequestBody::unmetered(body));
            let future = self.inner.call(request);
            return ResponseFuture::new(State::Called {
                future,
                watch: None,
            });
        }
        let incoming = Incoming { parts, body, need };
        let room = match &verdict {
            Err(why) if why.kind == OverloadedKind::NoRoom => make_room(&settings.guard, need),
            _ => None,
        };
        ResponseFuture::new(match room {
            None => settings.carry_out(verdict, &mut self.inner, incoming),
            Some(room) => {
                let spare = self.inner.clone();
                let service = mem::replace(&mut self.inner, spare);
                let settings = Arc::clone(settings);
                State::Waiting(Some(Box::new(Waiting {
                    room,
                    service,
                    incoming,
                    settings,
                })))
            }
        })
    }
}
