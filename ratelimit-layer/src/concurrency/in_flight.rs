//! A request in flight: its permit, and its part in the measure of the service below.

use super::idle::Place;
use super::layer::Hold;
use super::permits::Permit;
use crate::adaptive::{Flight, Outcome};
use crate::body::ResponseBody;
use crate::future::Finish;
use http::Response;
use http_body::Body;
use std::time::Duration;

/// A request in flight, or one that nobody limits.
#[derive(Debug)]
pub struct InFlight {
    /// Before the permit, so that one that is dropped counts itself in.
    pub(super) flight: Option<Flight>,
    pub(super) permit: Option<(Permit, Keep)>,
}

/// How long a permit is kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keep {
    pub(super) hold: Hold,
    /// Lent to others while the body's reader rests for longer.
    pub(super) idle: Option<Duration>,
}

impl Finish for InFlight {
    fn apply<B: Body, E>(
        &mut self,
        result: Result<Response<B>, E>,
    ) -> Result<Response<ResponseBody<B>>, E> {
        if let Some(flight) = self.flight.take() {
            flight.end(&match &result {
                Ok(response) => Outcome::Answered(response.into()),
                Err(_) => Outcome::Failed,
            });
        }
        // Taken in any case: an error ends the request, and with it the permit.
        let permit = self.permit.take();
        let response = result?;
        let place = match permit {
            Some((permit, keep))
                if keep.hold == Hold::BodyEnd && !response.body().is_end_stream() =>
            {
                Some(Place::new(permit, keep.idle))
            }
            _ => None,
        };
        Ok(response.map(|body| ResponseBody::inner(body, place, None)))
    }
}
