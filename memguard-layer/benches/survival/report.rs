//! Which loads there are, and what becomes of the three servers under them.

use std::{env, process::ExitCode, time::Duration};

use crate::trial::{self, Arm, BUDGET, Cgroup, Form, Kind, LIMIT, Limit, Load, MIB};

const BURST: Duration = Duration::ZERO;
const RAMP: Duration = Duration::from_millis(1500);

/// No health check of the guarded server is to take longer.
const LONGEST_CHECK: Duration = Duration::from_millis(50);

/// A form of load with its name's beginning, and how many clients.
const KINDS: [(&str, Kind, u32); 9] = [
    (
        "200 × 1 MiB, length",
        Kind::Upload(Form::Length, 1 << 20),
        200,
    ),
    (
        "200 × 1 MiB, chunked",
        Kind::Upload(Form::Chunked, 1 << 20),
        200,
    ),
    (
        "100 × 8 MiB, length",
        Kind::Upload(Form::Length, 8 << 20),
        100,
    ),
    (
        "100 × 8 MiB, chunked",
        Kind::Upload(Form::Chunked, 8 << 20),
        100,
    ),
    (
        "1500 × 1 MiB, length",
        Kind::Upload(Form::Length, 1 << 20),
        1500,
    ),
    (
        "1500 × 1 MiB, chunked",
        Kind::Upload(Form::Chunked, 1 << 20),
        1500,
    ),
    ("200 slow readers of 1 MiB", Kind::SlowReaders, 200),
    ("200 gzip bombs of 64 KiB JSON", Kind::Bombs(64 << 10), 200),
    ("200 gRPC streams of 1 MiB", Kind::Streams(1 << 20), 200),
];

/// How often arms lived.
#[derive(Default)]
struct Lives {
    of: usize,
    lived: [usize; Arm::ALL.len()],
    /// The worst of the guarded server: heap's peak, health check, and time until it served again.
    peak: u64,
    slowest: Duration,
    serves_after: Duration,
    broken: Vec<String>,
}

pub(crate) fn run() -> ExitCode {
    trial::serve_if_child();
    // `--bench` is cargo's own.
    let arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let (options, names): (Vec<_>, Vec<_>) =
        arguments.partition(|argument| argument.starts_with("--"));
    if options.iter().any(|option| option != "--quick") {
        eprintln!("usage: [--quick] [PART OF A NAME]...");
        return ExitCode::from(2);
    }
    let quick = !options.is_empty();
    let chosen = |load: &Load| match names.is_empty() {
        true => !quick || load.name.starts_with("200 × 1 MiB") && load.ramp == BURST,
        false => names.iter().any(|name| load.name.contains(name)),
    };
    println!(
        "a budget of {} MiB, a limit of {} MiB; 1 core for the clients, 2 threads for the server\n",
        BUDGET / MIB,
        LIMIT / MIB
    );
    println!(
        "| load | limit | server | lived? | heap's peak | slowest health check | serves after | \
         reserved | answers |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    let mut lives = Lives::default();
    for load in loads().iter().filter(|load| chosen(load)) {
        compare(load, || Ok(Limit::Data), &mut lives);
        compare(
            load,
            || Cgroup::with_limit(LIMIT).map(Limit::Cgroup),
            &mut lives,
        );
    }
    if lives.of == 0 {
        let names: Vec<_> = loads().into_iter().map(|load| load.name).collect();
        eprintln!("no load has such a name; there are\n{}", names.join("\n"));
        return ExitCode::from(2);
    }
    lives.tell()
}

fn loads() -> Vec<Load> {
    KINDS
        .iter()
        .flat_map(|&(name, kind, clients)| {
            [("burst", BURST), ("ramp", RAMP)].map(|(pace, ramp)| Load {
                name: format!("{name}, {pace}"),
                kind,
                clients,
                ramp,
            })
        })
        .collect()
}

/// All arms under one load; a limit that cannot be had is said to be left out.
fn compare(load: &Load, limit: impl Fn() -> std::io::Result<Limit>, lives: &mut Lives) {
    for (arm, lived) in Arm::ALL.into_iter().zip(0..) {
        let limit = match limit() {
            Ok(limit) => limit,
            Err(error) => return println!("| {} | left out: {error} |", load.name),
        };
        let outcome = trial::run(load, &limit, arm, &[]);
        println!(
            "| {} | {} | {} | {outcome} |",
            load.name,
            limit.name(),
            arm.name()
        );
        lives.of += usize::from(arm == Arm::Guarded);
        lives.lived[lived] += usize::from(outcome.death.is_none());
        if arm == Arm::Guarded {
            lives.peak = lives.peak.max(outcome.peak);
            lives.slowest = lives.slowest.max(outcome.slowest);
            let serves_after = outcome.serves_after.unwrap_or(Duration::MAX);
            lives.serves_after = lives.serves_after.max(serves_after);
            let broken = outcome.broken(LONGEST_CHECK);
            lives.broken.extend(
                broken
                    .iter()
                    .map(|what| format!("{}, {}: {what}", load.name, limit.name())),
            );
        }
    }
}

impl Lives {
    fn tell(self) -> ExitCode {
        println!();
        for (arm, lived) in Arm::ALL.into_iter().zip(self.lived) {
            println!("{}: lived {lived} of {}", arm.name(), self.of);
        }
        println!(
            "guarded, at worst: a peak of {:.1} MiB, a health check of {:.1} ms, serving after {} ms",
            self.peak as f64 / MIB as f64,
            self.slowest.as_secs_f64() * 1000.0,
            self.serves_after.as_millis()
        );
        for broken in &self.broken {
            println!("guarded, broken: {broken}");
        }
        let [unguarded, ..] = self.lived;
        match self.broken.is_empty() && unguarded == 0 {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}
