//! A request that was charged: what is left to do when its response head is there.

use super::settlement::Settlement;
use super::texts::Told;
use crate::body::ResponseBody;
use crate::future::Finish;
use crate::head::ResponseHead;
use crate::limiter::Decision;
use http::Response;
use http_body::Body;

/// A request that was charged, or that nobody limits.
///
/// Boxed is what few layers ask for: futures of the others stay small.
#[derive(Debug, Default)]
pub struct Charged {
    pub(super) told: Option<Told>,
    /// Put into the response's extensions.
    pub(super) decision: Option<Box<Decision>>,
    pub(super) settlement: Option<Box<Settlement>>,
}

impl Finish for Charged {
    #[inline]
    fn apply<B: Body, E>(
        &mut self,
        result: Result<Response<B>, E>,
    ) -> Result<Response<ResponseBody<B>>, E> {
        match self {
            // By itself: a response that nothing else is done with is moved once.
            Self {
                told: None,
                decision: None,
                settlement: None,
            } => Ok(result?.map(|body| ResponseBody::inner(body, None, None))),
            due => Ok(due.apply_to(result?)),
        }
    }
}

impl Charged {
    fn apply_to<B>(&mut self, mut response: Response<B>) -> Response<ResponseBody<B>> {
        let head = ResponseHead::from(&response);
        let tally = self.settlement.take().and_then(|open| open.at_head(&head));
        if let Some(told) = &self.told {
            told.append(response.headers_mut());
        }
        if let Some(decision) = &self.decision {
            response.extensions_mut().insert(**decision);
        }
        response.map(|body| ResponseBody::inner(body, None, tally))
    }
}
