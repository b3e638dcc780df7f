//! Random traffic, and an oracle that knows of each answer what may be done with it.
//!
//! The oracle keeps no cache: it looks at what a client got, at the answer of the origin that the
//! body came from, and asks whether the RFC lets the one client have the other's answer.

use crate::support::*;
use http::StatusCode;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, advance};

/// One request, and what the origin says if it is asked.
#[derive(Debug, Clone)]
struct Step {
    pause: u64,
    path: usize,
    wants: &'static str,
    authorization: bool,
    cookie: bool,
    kind: usize,
    status: u16,
    says: &'static str,
    varies: bool,
    tagged: bool,
    sets_cookie: bool,
    /// It confirms what it is asked about.
    confirms: bool,
}

const WANTS: [&str; 9] = [
    "",
    "",
    "",
    "no-cache",
    "no-store",
    "max-age=5",
    "min-fresh=5",
    "max-stale=7",
    "stale-if-error=9",
];
const SAYS: [&str; 12] = [
    "max-age=10",
    "max-age=10",
    "max-age=10, public",
    "max-age=10, must-revalidate",
    "s-maxage=10",
    "max-age=10, private",
    "max-age=10, no-store",
    "max-age=10, no-cache",
    "max-age=10, stale-while-revalidate=7",
    "max-age=10, stale-if-error=9",
    "max-age=0",
    "",
];

fn step() -> impl Strategy<Value = Step> {
    let request = (
        prop_oneof![Just(0), 1u64..15],
        0usize..2,
        proptest::sample::select(&WANTS[..]),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.2),
        0usize..2,
    );
    let answer = (
        prop_oneof![5 => Just(200u16), 1 => Just(404), 1 => Just(503), 1 => Just(429)],
        proptest::sample::select(&SAYS[..]),
        any::<bool>(),
        any::<bool>(),
        proptest::bool::weighted(0.1),
        any::<bool>(),
    );
    (request, answer).prop_map(|(request, answer)| {
        let (pause, path, wants, authorization, cookie, kind) = request;
        let (status, says, varies, tagged, sets_cookie, confirms) = answer;
        Step {
            pause,
            path,
            wants,
            authorization,
            cookie,
            kind,
            status,
            says,
            varies,
            tagged,
            sets_cookie,
            confirms,
        }
    })
}

/// A word of the origin on an answer: as it was given, and each time it was confirmed.
#[derive(Debug, Clone)]
struct Word {
    /// The request that it answered, and what it said.
    step: Step,
    at: Instant,
}

/// An answer of the origin, known by its number, which is its body.
#[derive(Debug, Clone)]
struct Given {
    path: String,
    status: u16,
    words: Vec<Word>,
}

#[derive(Debug, Default)]
struct Origins {
    given: Vec<Given>,
    /// What the next answers are made by.
    now: Option<Step>,
    asked: usize,
    failed: bool,
}

fn answer_to(state: &Mutex<Origins>, request: &OriginRequest) -> OriginResponse {
    let mut state = state.lock().unwrap();
    state.asked += 1;
    let mut step = state.now.clone().unwrap();
    if !request.headers().contains_key("cache-control") {
        step.wants = "";
    }
    // A request in the background is nobody's.
    step.authorization = request.headers().contains_key("authorization");
    step.cookie = request.headers().contains_key("cookie");
    let mut fields = vec![("cache-control", step.says.to_owned())];
    if step.varies {
        fields.push(("vary", "x-kind".to_owned()));
    }
    let tags = request.headers().get("if-none-match");
    if let (Some(tags), true) = (tags, step.confirms) {
        // Of several variants, the one that comes last.
        let tag = tags.to_str().unwrap().rsplit(", ").next().unwrap();
        let number: usize = tag.trim_matches('"').parse().unwrap();
        fields.push(("etag", format!("\"{number}\"")));
        // Cookies do not come with a 304 here.
        let step = Step {
            sets_cookie: state.given[number].words[0].step.sets_cookie,
            ..step
        };
        let at = Instant::now();
        state.given[number].words.push(Word { step, at });
        let mut response = build(&fields, "");
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let number = state.given.len();
    if step.tagged {
        fields.push(("etag", format!("\"{number}\"")));
    }
    if step.sets_cookie {
        fields.push(("set-cookie", "a=b".to_owned()));
    }
    let mut response = build(&fields, &number.to_string());
    *response.status_mut() = StatusCode::from_u16(step.status).unwrap();
    state.failed |= step.status == 503;
    state.given.push(Given {
        path: request.uri().path().to_owned(),
        status: step.status,
        words: vec![Word {
            step,
            at: Instant::now(),
        }],
    });
    response
}

fn build(fields: &[(&str, String)], body: &str) -> OriginResponse {
    let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    answer(&fields, body.to_owned())
}

/// Whether by that word this client may have the answer, when it says that it is `written` seconds old.
fn may_have(step: &Step, word: &Word, written: u64, failed: bool) -> Result<(), &'static str> {
    let given = &word.step;
    let says = |word| given.says.split(", ").any(|one| one == word);
    let ask = |ok: bool, why| if ok { Ok(()) } else { Err(why) };
    let everybody = says("public") || says("s-maxage=10");
    let age = word.at.elapsed().as_secs();
    ask(age == written, "another age")?;
    ask(!says("no-store") && !says("private"), "not for the store")?;
    ask(given.wants != "no-store", "its client forbade it")?;
    ask(!given.sets_cookie, "somebody's new cookie")?;
    ask(!says("no-cache"), "to be asked about")?;
    // RFC 5861 section 4: in place of an error it may be used whatever else is said of freshness.
    let confirmed = failed || step.wants != "no-cache";
    ask(confirmed, "the client wants it confirmed")?;
    for asked in [step, given] {
        let must = everybody || says("must-revalidate");
        ask(!asked.authorization || must, "somebody's credentials")?;
        ask(!asked.cookie || everybody, "somebody's cookie")?;
    }
    let alike = !given.varies || step.kind == given.kind;
    ask(alike, "another variant")?;
    let strict = says("must-revalidate") || says("s-maxage=10");
    let lifetime = if given.says.contains("max") && !says("max-age=0") {
        10
    } else {
        0
    };
    let mut over = 0;
    if !strict {
        if says("stale-while-revalidate=7") {
            over = 7;
        }
        if step.wants == "max-stale=7" {
            over = over.max(8);
        }
        if failed && (says("stale-if-error=9") || step.wants == "stale-if-error=9") {
            over = over.max(9);
        }
    }
    ask(age < lifetime + over, "too old")?;
    ask(
        failed || step.wants != "max-age=5" || age <= 5,
        "older than wanted",
    )?;
    ask(
        failed || step.wants != "min-fresh=5" || age + 5 <= lifetime,
        "not fresh for long enough",
    )
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let state = Arc::new(Mutex::new(Origins::default()));
    let origin = {
        let state = Arc::clone(&state);
        Origin::new(move |_, request| answer_to(&state, request))
    };
    let (cache, _handle) = cached(&origin);
    for step in steps {
        advance(Duration::from_secs(step.pause)).await;
        let (asked_before, given) = {
            let mut state = state.lock().unwrap();
            state.now = Some(step.clone());
            state.failed = false;
            (state.asked, state.given.clone())
        };
        let kind = step.kind.to_string();
        let mut fields = vec![("x-kind", kind.as_str())];
        for (is, field) in [
            (!step.wants.is_empty(), ("cache-control", step.wants)),
            (step.authorization, ("authorization", "Basic eA==")),
            (step.cookie, ("cookie", "a=b")),
        ] {
            if is {
                fields.push(field);
            }
        }
        let seen = ask(
            &cache,
            request("GET", &format!("http://a/{}", step.path), &fields),
        )
        .await;
        // Whatever goes on in the background goes on now.
        settle().await;
        let state = state.lock().unwrap();
        let number: usize = seen.text().parse().unwrap();
        let Some(given) = given.get(number) else {
            // Its own.
            prop_assert!(seen.cache().starts_with("fwd="));
            prop_assert_eq!(seen.status, state.given[number].status);
            continue;
        };
        prop_assert_eq!(&given.path, &format!("/{}", step.path));
        prop_assert_eq!(seen.status, given.status);
        if seen.cache().contains("fwd-status=304") {
            // The origin was asked, and said that it is this.
            prop_assert!(state.asked > asked_before);
            continue;
        }
        prop_assert_ne!(given.status, 429);
        prop_assert_eq!(seen.headers.get_all("age").iter().count(), 1);
        let age = seen.field("age").unwrap().parse().unwrap();
        let words = given.words.iter().rev();
        let verdicts: Vec<_> = words
            .map(|word| may_have(&step, word, age, state.failed))
            .collect();
        let fine = verdicts.iter().any(Result::is_ok);
        prop_assert!(fine, "{verdicts:?}: {step:?} got {given:?}: {seen:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nobody_gets_what_he_may_not_have(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(steps))?;
    }
}
