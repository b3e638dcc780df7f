//! Whole layers around a service that does nothing, which answers with axum's body because
//! tower_governor asks for it.

use super::Rate;
use crate::support::requests::{self, allowed, answer, grpc, refused};
use crate::support::threads::Effort;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use ratelimit_layer::{Quota, RateLimitLayer};
use std::net::SocketAddr;
use tower::{Layer, service_fn};
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;

/// As axum's server leaves the peer's address.
fn http(peer: SocketAddr) -> Request<()> {
    requests::from(ConnectInfo(peer))
}

pub(super) fn run(quick: bool) {
    let rounds = Effort::new(quick).rounds;
    let none = || service_fn(answer::<Body>);
    let (wide, narrow) = (Rate::WIDE.ours(), Quota::per_hour(1));
    let ours = |quota, fields: bool| RateLimitLayer::new(quota).fields(fields).layer(none());

    let mut theirs = GovernorConfigBuilder::default();
    let bare = |builder: &mut GovernorConfigBuilder<_, _>| {
        GovernorLayer::new(builder.finish().unwrap()).layer(none())
    };
    let with_fields = |builder: &mut GovernorConfigBuilder<_, _>| {
        GovernorLayer::new(builder.use_headers().finish().unwrap()).layer(none())
    };

    requests::heading("by the layer");
    let mut cases = [
        allowed("none", http, none()),
        allowed("ratelimit-layer, allowed", http, ours(wide, true)),
        allowed(
            "ratelimit-layer, allowed, no fields",
            http,
            ours(wide, false),
        ),
        refused("ratelimit-layer, refused", http, ours(narrow, true)),
        allowed(
            "tower_governor, allowed, fields",
            http,
            with_fields(theirs.per_nanosecond(1_000).burst_size(1_000_000_000)),
        ),
        allowed("tower_governor, allowed", http, bare(&mut theirs)),
    ];
    requests::compare(&mut cases, rounds / 4);
    let mut grpc_cases = [
        allowed("none, gRPC", grpc, none()),
        allowed("ratelimit-layer, allowed, gRPC", grpc, ours(wide, true)),
        refused("ratelimit-layer, refused, gRPC", grpc, ours(narrow, true)),
    ];
    requests::compare(&mut grpc_cases, rounds / 4);
    // Each of its refusals sets up a clock anew, so a few rounds take as long as all the others.
    let mut their_refusals = [
        allowed("none", http, none()),
        refused(
            "tower_governor, refused, fields",
            http,
            with_fields(theirs.per_second(3_600).burst_size(1)),
        ),
        refused("tower_governor, refused", http, bare(&mut theirs)),
    ];
    requests::compare(&mut their_refusals, rounds / 20);
    println!();
    let [none, allowed, _, refused, ..] = &cases;
    requests::refusal("HTTP", none, allowed, refused);
    let [none, allowed, refused] = &grpc_cases;
    requests::refusal("gRPC", none, allowed, refused);
    println!(
        "asked: an admission below tower_governor's, a refusal 1,000 ns and 3 admissions at most"
    );
}
