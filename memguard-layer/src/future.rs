//! The response on its way: from the service, after a wait for room, or refused.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project::pin_project;
use tower_service::Service;

use crate::{
    Overloaded, Rejection, RequestBody, Reservation, ResponseBody, admission::Demand,
    admission::Room, body::Account, rejection::Asked, service::Settings,
};

/// The future of a guarded response.
///
/// # Cancel safety
///
/// May be dropped at any moment: what was reserved for the request is given back with its body.
#[pin_project]
pub struct ResponseFuture<S, B, R, F> {
    #[pin]
    state: State<S, B, R, F>,
}

#[pin_project(project = StateProj)]
pub(crate) enum State<S, B, R, F> {
    /// The service has the request.
    Called {
        #[pin]
        future: F,
        /// What the handler was promised for itself; `None` if the request is exempt.
        promise: Option<Reservation>,
        watch: Option<Watch<R>>,
    },
    /// Reclaimers are at work to make room; taken when they are done.
    Waiting(Option<Box<Waiting<S, B, R>>>),
    /// There is none.
    Refused { reply: Reply<R>, why: Overloaded },
}

/// How the future learns that the guard ended the body, and what it then says.
pub(crate) struct Watch<R> {
    pub(crate) account: Arc<Account>,
    pub(crate) reply: Reply<R>,
}

/// How a request is refused, and what must be known of it for that.
pub(crate) struct Reply<R> {
    pub(crate) rejection: Arc<R>,
    pub(crate) asked: Asked,
}

impl<R> Reply<R> {
    fn say<B>(&self, why: &Overloaded) -> Response<ResponseBody<B>>
    where
        R: Rejection<B>,
    {
        self.rejection.respond(&self.asked, why)
    }
}

pub(crate) struct Waiting<S, B, R> {
    pub(crate) room: Room,
    /// Ready, as the contract of `Service` wants it.
    pub(crate) service: S,
    pub(crate) request: Request<B>,
    pub(crate) demand: Demand,
    pub(crate) settings: Arc<Settings<R>>,
}

impl<S, B, R, F> ResponseFuture<S, B, R, F> {
    pub(crate) const fn new(state: State<S, B, R, F>) -> Self {
        Self { state }
    }
}

impl<S, B, R, ResB> Future for ResponseFuture<S, B, R, S::Future>
where
    S: Service<Request<RequestBody<B>>, Response = Response<ResB>>,
    R: Rejection<ResB>,
{
    type Output = Result<Response<ResponseBody<ResB>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next =
                match this.state.as_mut().project() {
                    StateProj::Called {
                        future,
                        promise,
                        watch,
                    } => {
                        let result = ready!(future.poll(cx));
                        if let Some(Watch { account, reply }) = watch {
                            account.answered();
                            // A handler that swallowed the error of its body did not see the whole request.
                            if let Some(why) = account.ended() {
                                return Poll::Ready(Ok(reply.say(why)));
                            }
                        }
                        // What it has allocated is in the heap by now.
                        let mut promise = promise.take();
                        if let Some(promise) = &mut promise {
                            promise.hold(0);
                        }
                        return Poll::Ready(result.map(|response| {
                            response.map(|body| ResponseBody::passed(body, promise))
                        }));
                    }
                    StateProj::Refused { reply, why } => return Poll::Ready(Ok(reply.say(why))),
                    StateProj::Waiting(waiting) => {
                        let room = &mut waiting.as_mut().expect("replaced when done").room;
                        let verdict = ready!(room.as_mut().poll(cx));
                        let waiting = waiting.take().expect("polled just now");
                        let Waiting {
                            mut service,
                            request,
                            demand,
                            settings,
                            ..
                        } = *waiting;
                        settings.carry_out(verdict, &mut service, request, &demand)
                    }
                };
            this.state.set(next);
        }
    }
}

impl<S, B, R, F> fmt::Debug for ResponseFuture<S, B, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
