//! A request in line: what is done when its turn comes, or does not.

use super::handle::{ADMITTED, TIMED_OUT};
use super::in_flight::InFlight;
use super::patience::Patience;
use super::permits::Permit;
use super::service::{ConcurrencyLimited, Shared};
use crate::future::{Held, Next};
use crate::head::Head;
use crate::rejection::Rejection;
use http::{Request, Response};
use std::fmt;
use std::sync::Arc;
use tower_service::Service;

/// A request in line.
pub(super) struct InHand<K, R, B> {
    pub(super) shared: Arc<Shared<K, R>>,
    pub(super) client: u64,
    pub(super) request: Request<B>,
}

/// A request in line and the service that it goes to.
pub struct Guest<S, K, R, W: Patience<S>, B>(pub(super) W::Held<InHand<K, R, B>>);

impl<S, K, R, W, ReqBody, ResBody> Held<Permit> for Guest<S, K, R, W, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: Rejection<ConcurrencyLimited, ResBody>,
    W: Patience<S>,
{
    type Future = S::Future;
    type Body = ResBody;
    type Finish = InFlight;

    fn call(self, permit: Permit) -> Next<S::Future, ResBody, InFlight> {
        let (mut service, in_hand) = W::open(self.0);
        let InHand {
            shared,
            client,
            request,
        } = in_hand;
        shared.state.counters.add(ADMITTED, client);
        let finish = shared.finish(Some(permit));
        Next::Called(service.call(request), finish)
    }

    fn refuse(self) -> Next<S::Future, ResBody, InFlight> {
        let (_, in_hand) = W::open(self.0);
        let InHand {
            shared,
            client,
            request,
        } = in_hand;
        shared.state.counters.add(TIMED_OUT, client);
        let scope = shared.state.permits.full(client).into();
        Next::Refused(shared.refuse(&Head::from(&request), client, scope))
    }
}

impl<S, K, R, W: Patience<S>, B> fmt::Debug for Guest<S, K, R, W, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").finish_non_exhaustive()
    }
}
