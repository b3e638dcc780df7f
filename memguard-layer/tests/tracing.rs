//! What memory is measured by is said once in the log, and by the handle at any time: the counting heap, where one is installed.

use std::{
    fmt::{Debug, Write as _},
    sync::Mutex,
};

use memguard_layer::{Heap, MemGuardLayer};
use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

#[global_allocator]
static HEAP: Heap = Heap::new();

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Writes each event as a line.
struct Log;

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        LINES.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

#[test]
fn the_measure_is_logged_once_for_each_guard() {
    tracing::dispatcher::set_global_default(Dispatch::new(Log)).unwrap();
    let layer = MemGuardLayer::new(64 << 20);
    let handle = layer.handle();
    assert_eq!(LINES.lock().unwrap().len(), 0, "nothing is measured yet");
    for _ in 0..3 {
        assert_eq!(handle.source(), "counted heap");
        assert!(handle.heap() > 0);
        assert_eq!(layer.clone().handle().stats().source, "counted heap");
    }
    let other = MemGuardLayer::new(1 << 20).source(|| 7).handle();
    assert_eq!((other.heap(), other.source()), (7, "custom"));
    assert_eq!(
        *LINES.lock().unwrap(),
        [
            "INFO message=memory is guarded source=\"counted heap\" budget=67108864",
            "INFO message=memory is guarded source=\"custom\" budget=1048576",
        ]
    );
}
