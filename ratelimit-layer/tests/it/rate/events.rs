//! What is logged.

use crate::support::{hello, request, send};
use ratelimit_layer::{Quota, RateLimitLayer};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, service_fn};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps events as `name=value` texts.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "ratelimit_layer"
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn refusals_are_one_event_a_second() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let mut service = RateLimitLayer::new(Quota::per_hour(1)).layer(service_fn(hello));
    for _ in 0..11 {
        send(&mut service, request(1)).await;
    }
    advance(Duration::from_secs(1)).await;
    send(&mut service, request(1)).await;
    let events = recorder.0.lock().unwrap();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(
        events[0].contains("refused=1 ") && events[1].contains("refused=10 "),
        "{events:?}"
    );
    assert!(
        events[0].contains(r#"policy="default" client="192.0.2.1" retry_after=3600 "#),
        "{events:?}"
    );
}
