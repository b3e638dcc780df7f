//! What a cache does with its room: how it stands a flood and a mass expiry, how fast it gives memory
//! back, whether it grows with time, and how threads get in each other's way.
//!
//! `cargo bench -p cache-layer --bench room` (add `-- --quick` for a short run, and one or more of
//! `flood`, `reclaim`, `churn`, `expiry` and `contention` for these sections alone)
#![allow(unsafe_code, reason = "counts allocations")]
#![allow(unreachable_pub, reason = "support is shared with tests/peers")]
#![allow(clippy::disallowed_types, reason = "measures real time")]

#[path = "../support/mod.rs"]
mod support;

mod churn;
mod contention;
mod expiry;
mod flood;
mod latency;
mod reclaim;

use std::fmt::Display;

type Section = (&'static str, fn(bool));

fn main() {
    let sections: [Section; 5] = [
        ("flood", flood::run),
        ("reclaim", reclaim::run),
        ("churn", churn::run),
        ("expiry", expiry::run),
        ("contention", contention::run),
    ];
    let (mut quick, mut names) = (false, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // cargo's own.
            "--bench" => {}
            "--quick" => quick = true,
            name if sections.iter().any(|(section, _)| *section == name) => names.push(argument),
            _ => {
                let known = sections.map(|(section, _)| section).join(" | ");
                eprintln!("usage: [--quick] [{known}]...");
                std::process::exit(2);
            }
        }
    }
    for (section, run) in sections {
        if names.is_empty() || names.iter().any(|name| name == section) {
            run(quick);
        }
    }
}

/// Begins the table of one case.
fn table(case: impl Display) {
    println!("\n| {case} | measured | asked |\n| --- | ---: | --- |");
}

fn row(what: impl Display, measured: impl Display, asked: impl Display) {
    println!("| {what} | {measured} | {asked} |");
}

const MIB: f64 = 1024.0 * 1024.0;
