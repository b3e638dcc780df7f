//! A refusal with all its fields in place, to be copied: one after the other they cost more than all the
//! rest of it.

use super::grpc::{self, GRPC_RETRY_PUSHBACK, GRPC_STATUS_DETAILS};
use super::problem::{self, Problem};
use crate::body::ResponseBody;
use crate::fields::{self, RATELIMIT};
use crate::head::Head;
use http::Response;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use std::time::Duration;

/// The answers that violate one policy and tell how the client stands with all.
#[derive(Debug)]
pub(crate) struct Template {
    http: Copied<2>,
    grpc: Copied<3>,
}

impl Template {
    /// `policies` is the value of `RateLimit-Policy`.
    pub(crate) fn new(problem: &Problem, policies: &HeaderValue) -> Self {
        let with_policies = |mut headers: HeaderMap| {
            let nothing = HeaderValue::from_static("");
            fields::append_draft(&mut headers, policies.clone(), nothing);
            headers
        };
        let (http, grpc) = (
            problem::headers(Duration::ZERO),
            grpc::headers(&problem.grpc, Duration::ZERO),
        );
        Self {
            http: Copied::new(with_policies(http), [RETRY_AFTER, RATELIMIT]),
            grpc: Copied::new(
                with_policies(grpc),
                [GRPC_STATUS_DETAILS, GRPC_RETRY_PUSHBACK, RATELIMIT],
            ),
        }
    }

    /// The answer for this problem; `available` is the value of `RateLimit`.
    pub(crate) fn answer<B>(
        &self,
        head: &Head<'_>,
        problem: &Problem,
        delay: Duration,
        available: HeaderValue,
    ) -> Response<ResponseBody<B>> {
        if grpc::is_grpc(head.headers) {
            let details = problem.grpc.details(delay);
            let values = [details, grpc::pushback(delay), available];
            return grpc::response(self.grpc.with(values));
        }
        let headers = self.http.with([problem::retry_after(delay), available]);
        problem::response(head, &[problem], headers)
    }
}

/// Fields of which some change each time.
#[derive(Debug)]
struct Copied<const N: usize> {
    headers: HeaderMap,
    /// Where those stand, in order.
    places: [usize; N],
}

impl<const N: usize> Copied<N> {
    /// The names are all there, in this order.
    fn new(headers: HeaderMap, names: [HeaderName; N]) -> Self {
        let place = |name| headers.keys().position(|other| *other == name);
        let places = names.map(|name| place(name).expect("it was put in"));
        debug_assert!(places.is_sorted());
        Self { headers, places }
    }

    fn with(&self, values: [HeaderValue; N]) -> HeaderMap {
        let mut headers = self.headers.clone();
        let (mut slots, mut passed) = (headers.values_mut(), 0);
        for (place, value) in self.places.into_iter().zip(values) {
            if let Some(slot) = slots.nth(place - passed) {
                *slot = value;
            }
            passed = place + 1;
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::PolicyName;
    use http::{Method, Request};

    #[test]
    fn a_copy_is_what_is_made_field_by_field() {
        let name = PolicyName::try_new("10/s").unwrap();
        let problem = Problem::quota_exceeded(&name, "The quota is 10/s.");
        let policies = HeaderValue::from_static("\"10/s\";q=10;w=1");
        let template = Template::new(&problem, &policies);
        for (kind, method) in [
            ("text/plain", Method::GET),
            ("text/plain", Method::HEAD),
            ("application/grpc", Method::POST),
        ] {
            let request = Request::builder()
                .method(method)
                .header("content-type", kind);
            let request = request.body(()).unwrap();
            let head = Head::from(&request);
            for millis in [0, 1, 2_500, 9_999_000, 10_000_000, u64::MAX] {
                let delay = Duration::from_millis(millis);
                let available = HeaderValue::from(millis);
                let copy = template.answer::<String>(&head, &problem, delay, available.clone());
                let mut made = crate::rejection::answer::<String>(&head, &[&problem], delay);
                fields::append_draft(made.headers_mut(), policies.clone(), available);
                assert_eq!(copy.headers(), made.headers());
                assert_eq!(copy.status(), made.status());
            }
        }
    }
}
