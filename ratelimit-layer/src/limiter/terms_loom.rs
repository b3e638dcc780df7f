//! The terms' source, compiled against loom's atomics, under all interleavings of a writer and a
//! reader with up to three preemptions, and all values that weak memory may show.

#[path = "terms.rs"]
#[allow(clippy::duplicate_mod)] // The model is the source itself, not a copy of it.
mod terms;

mod sync {
    pub(super) use ::loom::sync::atomic::{AtomicU64, Ordering, fence};
    pub(super) use ::loom::thread::yield_now as spin_loop;
}

use ::loom::{model::Builder, sync::Arc, thread};
use terms::Terms;

#[test]
fn two_numbers_change_together() {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let terms = Arc::new(Terms::new((1, 10)));
        let writer = {
            let terms = Arc::clone(&terms);
            thread::spawn(move || terms.set((2, 20)))
        };
        let (first, second) = terms.get();
        assert_eq!(second, first * 10);
        writer.join().unwrap();
        assert_eq!(terms.get(), (2, 20));
    });
}
