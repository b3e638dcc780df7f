//! A burst of uploads under a hard limit of memory: the unguarded server dies of it, the guarded one lives.
//!
//! The quick form of the bench of this name, with its servers: each test starts its own binary again as one.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

#[path = "../benches/survival/trial/mod.rs"]
#[allow(dead_code, reason = "the bench uses the rest")]
mod trial;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use memguard_layer::Heap;
use trial::{Arm, Form, Kind, Limit, Load};

#[global_allocator]
static HEAP: Heap = Heap::new().with_peak();

#[test]
fn uploads_with_a_length() {
    compare("uploads_with_a_length", Form::Length);
}

#[test]
fn uploads_in_chunks() {
    compare("uploads_in_chunks", Form::Chunked);
}

fn compare(test: &str, form: Form) {
    trial::serve_if_child();
    static ONE_LOAD_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_LOAD_AT_A_TIME
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let load = Load {
        name: test.to_owned(),
        kind: Kind::Upload(form, 1 << 20),
        clients: 200,
        ramp: Duration::ZERO,
    };
    let [unguarded, guarded] = [Arm::Unguarded, Arm::Guarded].map(|arm| {
        let outcome = trial::run(&load, &Limit::Data, arm, &[test, "--exact", "--nocapture"]);
        println!("{}: {outcome}", arm.name());
        outcome
    });
    assert!(unguarded.death.is_some(), "it dies of the burst");
    // The machine may be busy with other tests.
    let broken = guarded.broken(Duration::from_secs(1));
    assert!(broken.is_empty(), "{broken:?}");
    let told = |answer| guarded.answers.get(answer).copied().unwrap_or(0);
    assert!(told("200") >= 10, "it works at what fits");
    assert!(told("503") >= 10, "and says no to the rest");
    assert_eq!(told("200") + told("503"), 200);
}
