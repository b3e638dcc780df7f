//! The service: admit, refuse, or wait for room.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    BoxError, Head, OverloadedKind, ProblemDetails, Rejection, RequestBody, ResponseBody,
    ResponseFuture,
    admission::{Demand, Need, Rules, make_room},
    body::{Account, Meter},
    future::{Reply, State, Waiting, Watch},
    guard::{Guard, Verdict},
    rejection::Asked,
};

/// What a layer was told, as its services use it.
pub(crate) struct Settings<R> {
    pub(crate) guard: Arc<Guard>,
    pub(crate) rules: Rules,
    pub(crate) rejection: Arc<R>,
}

impl<R> Settings<R> {
    /// Calls `service` if the verdict is to admit, otherwise turns to the refusal.
    #[inline]
    pub(crate) fn carry_out<S, B, ResB>(
        &self,
        verdict: Verdict,
        service: &mut S,
        request: Request<B>,
        demand: &Demand,
    ) -> State<S, B, R, S::Future>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<ResB>>,
        R: Rejection<ResB>,
    {
        let unread = demand.need != Need::Nothing;
        let reply = || Reply {
            rejection: Arc::clone(&self.rejection),
            asked: Asked::by(Head::from(&request), unread, R::KEEPS_PARTS),
        };
        match verdict {
            Ok(mut promise) if unread => {
                let account = Account::open(promise.split(demand.need.bytes()));
                let meter = Meter::new(Arc::clone(&account), demand);
                let watch = Some(Watch {
                    reply: reply(),
                    account,
                });
                State::Called {
                    future: service.call(request.map(|body| RequestBody::metered(body, meter))),
                    promise: Some(promise),
                    watch,
                }
            }
            Ok(promise) => State::Called {
                future: service.call(request.map(RequestBody::unmetered)),
                promise: Some(promise),
                watch: None,
            },
            Err(why) => {
                self.guard.count_rejected();
                State::Refused {
                    reply: reply(),
                    why,
                }
            }
        }
    }
}

impl<R> Clone for Settings<R> {
    fn clone(&self) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
            rules: self.rules.clone(),
            rejection: Arc::clone(&self.rejection),
        }
    }
}

impl<R> fmt::Debug for Settings<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("guard", &self.guard)
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
        let settings = &self.settings;
        let rules = &settings.rules;
        let Some(demand) = rules.demand(&Head::from(&request), request.body()) else {
            return ResponseFuture::new(State::Called {
                future: self.inner.call(request.map(RequestBody::unmetered)),
                promise: None,
                watch: None,
            });
        };
        let (verdict, room) = match settings.guard.admit(&demand) {
            // What nearly all requests come to, with the least moving about.
            Ok(promise) if demand.need == Need::Nothing => {
                return ResponseFuture::new(State::Called {
                    future: self.inner.call(request.map(RequestBody::unmetered)),
                    promise: Some(promise),
                    watch: None,
                });
            }
            Err(why) if why.kind == OverloadedKind::NoRoom => {
                match make_room(&settings.guard, demand) {
                    Ok(room) => (Err(why), Some(room)),
                    Err(verdict) => (verdict, None),
                }
            }
            verdict => (verdict, None),
        };
        ResponseFuture::new(match room {
            None => settings.carry_out(verdict, &mut self.inner, request, &demand),
            Some(room) => {
                let spare = self.inner.clone();
                let service = mem::replace(&mut self.inner, spare);
                let settings = Arc::clone(settings);
                State::Waiting(Some(Box::new(Waiting {
                    room,
                    service,
                    request,
                    demand,
                    settings,
                })))
            }
        })
    }
}
