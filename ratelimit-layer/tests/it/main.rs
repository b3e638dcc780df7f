//! The layers as their users meet them: services in, responses out.

mod adaptive;
mod concurrency;
mod peers;
mod rate;
mod readiness;
mod support;
