//! What never enters: statuses, sizes, variants, and bodies that are not whole.

use crate::support::*;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, StatusCode, Version, header};
use std::time::Duration;
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn every_status_is_stored_by_its_origins_word_or_not_at_all() {
    let explicit = Origin::new(|call, request| {
        let mut response = answer(&[("cache-control", "public, max-age=60")], call.to_string());
        let status = request.uri().path()[1..].parse().unwrap();
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    });
    let silent = Origin::new(|call, request| {
        let modified = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        let mut response = answer(&[modified, ("etag", "\"e\"")], call.to_string());
        let status = request.uri().path()[1..].parse().unwrap();
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    });
    let never = [206, 304, 416, 428, 429, 431, 511];
    let by_default = [200, 203, 204, 300, 301, 308];
    let (explicit, silent) = (
        layer().layer(explicit),
        layer().default_ttl(Duration::from_secs(60)).layer(silent),
    );
    for status in 100..1000 {
        let is_final = (200..600).contains(&status) && !never.contains(&status);
        for (cache, expected) in [
            (&explicit, is_final),
            (&silent, by_default.contains(&status)),
        ] {
            let uri = format!("http://a/{status}");
            let first = ask(cache, get(&uri)).await;
            assert_eq!(first.status, status);
            let again = ask(cache, get(&uri)).await;
            assert_eq!(
                again.cache() == "hit",
                expected,
                "{status}: {}",
                again.cache()
            );
            assert_eq!(again.text() == first.text(), expected, "{status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fields_trailers_and_what_selects_have_a_limit() {
    const LIMIT: usize = 400;
    let long = |length: usize| "x".repeat(length);
    // Name, colon, space and line's end count too.
    let room = |fields: &[(&str, &str)]| {
        let lengths = fields
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        LIMIT - lengths.sum::<usize>()
    };
    for over in [0, 1] {
        let (head_value, trailer_value, own_value) = (
            long(room(&[FRESH, ("x-big", "")]) + over),
            long(room(&[("x-sum", "")]) + over),
            long(room(&[("x-own", "")]) + over),
        );
        let origin = Origin::new(move |_, request| match request.uri().path() {
            "/head" => answer(&[FRESH, ("x-big", &head_value)], "x"),
            "/trailers" => {
                let (script, body) = Script::new();
                script.data("x");
                let name = HeaderName::from_static("x-sum");
                script.trailers(HeaderMap::from_iter([(
                    name,
                    trailer_value.parse().unwrap(),
                )]));
                head(&[FRESH], body)
            }
            _ => answer(&[FRESH, ("vary", "x-own")], "x"),
        });
        let layer = layer().max_header_bytes(LIMIT as u64);
        let cache = layer.layer(origin);
        for path in ["head", "trailers", "selecting"] {
            let uri = format!("http://a/{path}");
            let asked = || request("GET", &uri, &[("x-own", &own_value)]);
            ask(&cache, asked()).await;
            let again = ask(&cache, asked()).await;
            assert_eq!(again.text(), "x");
            assert_eq!(again.cache() == "hit", over == 0, "{path} {over} over");
        }
        assert_eq!(
            layer.handle().stats().entries,
            if over == 0 { 3 } else { 0 }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_may_vary_on_is_a_matter_of_choice() {
    let agent = || [header::USER_AGENT];
    for (layer, vary, stored) in [
        (layer(), "a,b,c,d,e,f,g,h", true),
        (layer(), "a,b,c,d,e,f,g,h,i", false),
        (layer().max_vary_names(9), "a,b,c,d,e,f,g,h,i", true),
        (layer().max_vary_names(1), "a, A", true),
        (layer().max_vary_names(1), "a, b", false),
        (layer().max_vary_names(0), "a", false),
        (layer().max_vary_names(0), "", true),
        (layer(), "user-agent", false),
        (layer(), "accept, User-Agent", false),
        (layer().vary_on(agent()), "accept, User-Agent", true),
        (layer().vary_on(agent()), "cookie", false),
        (layer(), "x-api-key", false),
        (layer().credential_headers([]), "x-api-key", true),
        (layer().vary_on(agent()), "*", false),
    ] {
        let fields = [FRESH, ("vary", vary)];
        let cache = layer.layer(Origin::new(move |_, _| answer(&fields, "x")));
        ask(&cache, get("http://a/x")).await;
        let again = ask(&cache, get("http://a/x")).await;
        assert_eq!(again.cache() == "hit", stored, "{vary}");
    }
}

/// How a body fails to be what its head says.
struct Truncated {
    fields: &'static [(&'static str, &'static str)],
    frames: &'static [&'static str],
    /// Ends with an error, not as if it were whole.
    breaks: bool,
}

#[tokio::test(start_paused = true)]
async fn what_is_not_whole_serves_nobody_who_comes_later() {
    const ETAG: (&str, &str) = ("etag", "\"e\"");
    for truncated in [
        Truncated {
            fields: &[FRESH, ("content-length", "8")],
            frames: &["half"],
            breaks: true,
        },
        Truncated {
            fields: &[FRESH, ("content-length", "8")],
            frames: &[],
            breaks: true,
        },
        Truncated {
            fields: &[FRESH, ("content-length", "4")],
            frames: &["half"],
            breaks: true,
        },
        Truncated {
            fields: &[FRESH],
            frames: &["ha", "lf"],
            breaks: true,
        },
        Truncated {
            fields: &[FRESH],
            frames: &[],
            breaks: true,
        },
        Truncated {
            fields: &[FRESH, ETAG],
            frames: &["half"],
            breaks: true,
        },
        Truncated {
            fields: &[FRESH, ("content-length", "8")],
            frames: &["half"],
            breaks: false,
        },
        Truncated {
            fields: &[FRESH, ("content-length", "3")],
            frames: &["ha", "lf"],
            breaks: false,
        },
        Truncated {
            fields: &[FRESH, ("content-length", "0")],
            frames: &["half"],
            breaks: false,
        },
        Truncated {
            fields: &[FRESH, ("content-length", "8")],
            frames: &[],
            breaks: false,
        },
    ] {
        let Truncated {
            fields,
            frames,
            breaks,
        } = truncated;
        let (mut origin, service) = manual();
        let layer = layer();
        let cache = layer.layer(service);
        let ask = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let waiting = [ask(), ask()];
        let (_, respond) = origin.recv().await.unwrap();
        settle().await;
        let (script, body) = Script::new();
        respond.send(head(fields, body)).ok().unwrap();
        settle().await;
        let mut readers = Vec::from(waiting);
        for frame in frames {
            script.data(*frame);
            settle().await;
            // In mid-body one more joins.
            readers.push(ask());
            settle().await;
        }
        if breaks {
            script.fail();
        }
        drop(script);
        for reader in readers {
            let seen = read(reader.await.unwrap().unwrap()).await;
            if breaks {
                let why = "the service's response body ended early";
                assert_eq!(seen.body.unwrap_err(), why, "{fields:?} {frames:?}");
            } else {
                assert_eq!(seen.text(), frames.concat(), "{fields:?}");
                let stated = fields[1].1;
                assert_eq!(
                    seen.field("content-length"),
                    Some(stated),
                    "it is there to be seen"
                );
            }
        }
        settle().await;
        let stats = layer.handle().stats();
        assert_eq!(
            (stats.entries, stats.filling, stats.bytes),
            (0, 0, 0),
            "{fields:?}"
        );
        assert!(origin.try_recv().is_err(), "one question for all of them");
        let next = ask();
        let (asked, respond) = origin.recv().await.unwrap();
        assert!(!asked.headers().contains_key("if-none-match"));
        respond.send(answer(&[FRESH], "whole")).ok().unwrap();
        assert_eq!(read(next.await.unwrap().unwrap()).await.text(), "whole");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_looks_like_a_break_is_not_stored() {
    for (version, fields, known, stored) in [
        (Version::HTTP_10, &[FRESH][..], false, false),
        (Version::HTTP_09, &[FRESH], false, false),
        (
            Version::HTTP_10,
            &[FRESH, ("content-length", "5")],
            false,
            true,
        ),
        (Version::HTTP_10, &[FRESH], true, true),
        (Version::HTTP_11, &[FRESH], false, true),
        (Version::HTTP_2, &[FRESH], false, true),
    ] {
        let origin = Origin::new(move |_, _| {
            let mut response = if known {
                answer(fields, "hello")
            } else {
                let (script, body) = Script::new();
                script.data("hello");
                head(fields, body)
            };
            *response.version_mut() = version;
            response
        });
        let (cache, _) = cached(&origin);
        ask(&cache, get("http://a/x")).await;
        let again = ask(&cache, get("http://a/x")).await;
        assert_eq!(again.text(), "hello");
        assert_eq!(again.cache() == "hit", stored, "{version:?} {fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_reaches_all_who_wait_and_is_not_stored() {
    for (length, over) in [
        (None, false),
        (None, true),
        (Some("1000"), false),
        (Some("1001"), true),
    ] {
        let (mut origin, service) = manual();
        let layer = layer().max_entry_bytes(1000);
        let cache = layer.layer(service);
        let ask = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let clients: Vec<_> = (0..3).map(|_| ask()).collect();
        let (_, respond) = origin.recv().await.unwrap();
        settle().await;
        let length = length.map(|length| ("content-length", length));
        let fields: Vec<_> = [FRESH].into_iter().chain(length).collect();
        let bodies = || [vec![1; 999], vec![2; if over { 2 } else { 1 }]];
        let respond_with = |respond: tokio::sync::oneshot::Sender<OriginResponse>| {
            let (script, body) = Script::new();
            respond.send(head(&fields, body)).ok().unwrap();
            bodies()
                .into_iter()
                .for_each(|frame| assert!(script.data(frame)));
        };
        respond_with(respond);
        settle().await;
        // What is known to be too long is nobody's but the leader's; the others ask for themselves.
        while let Some(Some((_, respond))) = origin.recv().now_or_never() {
            assert!(over && length.is_some());
            respond_with(respond);
            settle().await;
        }
        for client in clients {
            let seen = read(client.await.unwrap().unwrap()).await;
            assert_eq!(seen.body.unwrap(), bodies().concat());
        }
        settle().await;
        let stats = layer.handle().stats();
        assert_eq!(
            (stats.entries, stats.filling),
            (u64::from(!over), 0),
            "{fields:?}"
        );
    }
}
