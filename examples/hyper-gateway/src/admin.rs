//! The second listener: health for the orchestrator, figures for people. Behind no layer.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use memguard_layer::MemGuardHandle;
use serde_json::{Value, json};

use crate::answer::problem;
use crate::stack::Handles;

/// Answers one request.
pub(crate) async fn answer<B>(handles: &Handles, request: &Request<B>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = problem(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only.");
        refusal
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => match handles.guard.as_ref().is_none_or(MemGuardHandle::ready) {
            true => text(StatusCode::OK, "ready\n"),
            false => text(StatusCode::SERVICE_UNAVAILABLE, "short of memory\n"),
        },
        "/graphs" => answered(
            StatusCode::OK,
            "text/html; charset=utf-8",
            include_str!("graphs.html"),
        ),
        "/stats" => {
            let stats = format!("{:#}\n", stats(handles));
            answered(StatusCode::OK, "application/json", stats)
        }
        "/debug/pprof/heap" => match memguard_layer::heap_profile().await {
            Ok(profile) => answered(StatusCode::OK, "application/octet-stream", profile),
            Err(why) => problem(StatusCode::NOT_IMPLEMENTED, &why.to_string()),
        },
        _ => problem(
            StatusCode::NOT_FOUND,
            "There are /healthz, /readyz, /stats, /graphs and /debug/pprof/heap.",
        ),
    }
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    answered(status, "text/plain; charset=utf-8", body)
}

fn answered(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// What the handles tell; `null` for a layer that is off.
fn stats(handles: &Handles) -> Value {
    json!({
        "upstream": handles.upstream.stats(),
        "cache": handles.cache.as_ref().map(|cache| {
            let stats = cache.stats();
            json!({
                "hits": stats.hits,
                "misses": stats.misses,
                "collapsed": stats.collapsed,
                "bypassed": stats.bypassed,
                "writes": stats.writes,
                "unsatisfied": stats.unsatisfied,
                "stale": stats.stale,
                "validated": stats.validated,
                "refreshed": stats.refreshed,
                "stored": stats.stored,
                "refused_room": stats.refused_room,
                "kept_out": stats.kept_out,
                "filling": stats.filling,
                "entries": stats.entries,
                "bytes": stats.bytes,
                "max_bytes": stats.max_bytes,
            })
        }),
        "rate": handles.rate.as_ref().map(|rate| {
            let stats = rate.stats();
            json!({
                "allowed": stats.allowed,
                "refused": stats.refused,
                "unkeyed": stats.unkeyed,
                "evicted_in_debt": stats.evicted_in_debt,
                "max_clients": stats.max_clients,
                "tracked_clients": rate.tracked_clients(),
                "policies": stats.policies.iter().map(|policy| json!({
                    "name": policy.name,
                    "quota": policy.quota.to_string(),
                    "refused": policy.refused,
                    "would_refuse": policy.would_refuse,
                })).collect::<Vec<_>>(),
                "offenders": rate.offenders(10).iter().map(|offender| json!({
                    "client": offender.label,
                    "refused": offender.refused,
                })).collect::<Vec<_>>(),
            })
        }),
        "concurrency": handles.concurrency.as_ref().map(|concurrency| {
            let stats = concurrency.stats();
            json!({
                "in_flight": stats.in_flight,
                "waiting": stats.waiting,
                "adaptive_limit": stats.adaptive_limit,
                "clients": stats.clients,
                "admitted": stats.admitted,
                "refused": stats.refused,
                "timed_out": stats.timed_out,
                "lent": stats.lent,
                "unkeyed": stats.unkeyed,
            })
        }),
        "memory": handles.guard.as_ref().map(|guard| {
            let stats = guard.stats();
            json!({
                "level": format!("{:?}", stats.level).to_lowercase(),
                "budget": stats.budget,
                "source": stats.source,
                "heap": stats.heap,
                "reserved": stats.reserved,
                "rejected": stats.rejected,
                "bodies_ended": stats.bodies_ended,
                "reclaim_rounds": stats.reclaim_rounds,
                "reclaim_in_vain": stats.reclaim_in_vain,
                "reclaimed": stats.reclaimed,
                "purges": stats.purges,
                "over_ceiling": stats.over_ceiling,
                "pressed": stats.pressed,
            })
        }),
    })
}
