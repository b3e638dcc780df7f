//! Which source is found, and what is assumed between two samples.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use super::*;

const LONG: Duration = Duration::from_secs(10);

fn measure(source: impl Source) -> Measure {
    Measure::from(Choice {
        source: Some(Box::new(source)),
        cgroup: Chosen::No,
    })
}

/// A sampled measure of a number, and word of each reading of it.
fn sampled(number: &Arc<AtomicU64>) -> (Measure, Receiver<()>) {
    let (reading, readings) = channel();
    let (reading, number) = (Mutex::new(reading), Arc::clone(number));
    let source = Sampled::every(LONG, move || {
        let bytes = number.load(Relaxed);
        // Nobody may be listening any more.
        let _ = reading.lock().unwrap().send(());
        bytes
    });
    (measure(source), readings)
}

#[test]
fn between_samples_all_that_left_a_reservation_counts() {
    let heap = Arc::new(AtomicU64::new(100));
    let (measure, _readings) = sampled(&heap);
    assert_eq!(measure.bytes(), 100, "sampled at once");
    heap.store(500, Relaxed);
    assert_eq!(measure.bytes(), 100, "and then not for each request");
    measure.release(70);
    assert_eq!(measure.bytes(), 170);
    assert_eq!(measure.fresh(), 500);
    measure.release(7);
    assert_eq!(measure.bytes(), 507);
    heap.store(20, Relaxed);
    assert_eq!(measure.fresh(), 20);
}

#[test]
fn a_measure_in_a_hurry_samples_soon() {
    let heap = Arc::new(AtomicU64::new(0));
    let (measure, readings) = sampled(&heap);
    readings.recv().unwrap();
    for _ in 0..3 {
        measure.hurry();
        readings
            .recv_timeout(LONG / 2)
            .expect("well before its period is over");
    }
}

#[test]
fn the_thread_ends_with_the_measure() {
    let (measure, readings) = sampled(&Arc::default());
    drop(measure);
    let readings: Vec<()> = readings.iter().collect();
    assert!(readings.len() <= 2, "the source is gone, and its thread");
}

#[test]
fn a_source_that_panics_once_is_asked_again() {
    let (reading, readings) = channel();
    let reading = Mutex::new((reading, 0));
    let measure = measure(Sampled::every(LONG, move || {
        let (reading, readings) = &mut *reading.lock().unwrap_or_else(|gone| gone.into_inner());
        *readings += 1;
        let _ = reading.send(*readings);
        assert!(*readings != 2, "the second reading fails");
        *readings
    }));
    for reading in 1..=3 {
        assert_eq!(readings.recv_timeout(LONG / 2), Ok(reading));
        measure.hurry();
    }
}

#[test]
#[should_panic(expected = "period is 1ms, but must be from 5ms to 10s")]
fn periods_have_bounds() {
    let _ = Sampled::every(Duration::from_millis(1), || 0);
}

#[cfg(feature = "jemalloc")]
#[test]
fn jemalloc_that_is_linked_and_not_installed_is_no_source() {
    let error = Jemalloc::new().unwrap_err().to_string();
    assert!(error.contains("#[global_allocator]"), "{error}");
}
