//! Requests that wait for room.

use std::time::Duration;

use http::Response;
use memguard_layer::{MemGuardLayer, Policy, RequestBody, ResponseBody};
use tokio::task::JoinHandle;
use tower::{Layer, Service};

use super::{Knob, Upload, echo, guard, request, upload};

/// A guard that lets requests wait for ten seconds.
pub(crate) fn delaying(budget: u64) -> (MemGuardLayer, Knob) {
    let (layer, heap) = guard(budget);
    let policy = Policy::Delay {
        wait: Duration::from_secs(10),
        max_waiting: 8,
    };
    (layer.policy(policy), heap)
}

/// What a request came to, and the body that holds what was reserved for it.
pub(crate) type Answer = JoinHandle<Response<ResponseBody<RequestBody<Upload>>>>;

/// Sends an upload to a service that holds on to its body.
pub(crate) async fn send(layer: &MemGuardLayer, length: u64) -> Answer {
    let future = layer.layer(echo()).call(request(upload(Some(length)).1));
    let answer = tokio::spawn(async { future.await.unwrap() });
    settle().await;
    answer
}

/// Lets everything that can go on go on.
pub(crate) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
