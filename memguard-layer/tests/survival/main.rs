//! A burst of uploads against a hard memory limit: the unguarded server dies of it, the guarded one lives.
//!
//! Each test starts its own binary again as the server, in a process of its own with RLIMIT_DATA set.

#![cfg(target_os = "linux")]

mod load;
mod server;

use std::{
    env,
    os::unix::process::ExitStatusExt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use load::{Form, UPLOADS, at_rest, burst, field, upload};
use memguard_layer::Heap;
use server::{Server, serve};
use tokio::{
    runtime::Builder,
    sync::{Semaphore, watch},
};

#[global_allocator]
static HEAP: Heap = Heap::new();

const BUDGET: u64 = 64 << 20;
const LIMIT: u64 = 128 << 20;

/// Set in the child: which server it is.
const ARM: &str = "MEMGUARD_SURVIVAL_ARM";

#[test]
fn uploads_with_a_length() {
    compare("uploads_with_a_length", Form::Length);
}

#[test]
fn uploads_in_chunks() {
    compare("uploads_in_chunks", Form::Chunked);
}

fn compare(test: &str, form: Form) {
    if let Ok(arm) = env::var(ARM) {
        serve(arm == "guarded");
    }
    static ONE_LOAD_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_LOAD_AT_A_TIME
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();

    let mut unguarded = Server::start(test, "unguarded");
    let load = runtime.block_on(burst(unguarded.address, form));
    let end = unguarded.end().expect("it dies of the burst");
    println!("{form:?}, unguarded: {end}; {:?}", load.outcomes);
    assert_eq!(end.signal(), Some(6), "it aborts when an allocation fails");

    let mut guarded = Server::start(test, "guarded");
    runtime.block_on(async {
        let load = burst(guarded.address, form).await;
        let report = at_rest(guarded.address).await;
        println!(
            "{form:?}, guarded: alive; {:?}; {} health checks, the slowest {:?}; {report}",
            load.outcomes, load.checks, load.slowest
        );
        let count = |outcome| load.outcomes.get(outcome).copied().unwrap_or(0);
        assert!(count("200") >= 10, "it works at what fits");
        assert!(count("503") >= 10, "and says no to the rest");
        assert_eq!(load.outcomes.values().sum::<usize>(), UPLOADS);
        assert!(
            load.checks >= 3 && load.slowest < Duration::from_secs(1),
            "healthy throughout"
        );
        assert!(field(&report, "peak") <= BUDGET + BUDGET / 20, "{report}");
        // And then as if nothing had happened.
        for form in [Form::Length, Form::Chunked] {
            for _ in 0..10 {
                let held = Semaphore::new(0);
                let (_go, release) = watch::channel(true);
                assert_eq!(upload(guarded.address, form, &held, release).await, "200");
            }
        }
    });
    assert!(guarded.status().is_none());
}
