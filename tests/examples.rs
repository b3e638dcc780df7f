//! The examples as their READMEs show them: each command is run, and prints what stands there.

use std::{fs, path::Path, process::Command};

use end_to_end::{
    process::{Program, program},
    wait::until,
};

#[tokio::test]
async fn the_projects_readme() {
    follow("README.md", &[("axum-api", "127.0.0.1:3000")]).await;
}

#[tokio::test]
async fn the_readme_of_axum_api() {
    follow(
        "examples/axum-api/README.md",
        &[("axum-api", "127.0.0.1:3000")],
    )
    .await;
}

#[tokio::test]
async fn the_readme_of_tonic_greeter() {
    follow(
        "examples/tonic-greeter/README.md",
        &[("greeter-server", "127.0.0.1:50051")],
    )
    .await;
}

/// A `$ command` of a README and the lines under it.
struct Step {
    command: String,
    output: Vec<String>,
}

/// Does what a README's `console` blocks do: starts the `servers` (by name and default address) on
/// free ports, one at a time, and runs all other commands against the one that runs.
async fn follow(readme: &str, servers: &[(&str, &str)]) {
    let mut running: Option<(Program, &str)> = None;
    let mut compared = 0;
    for step in steps(readme) {
        let (name, args) = executable(&step.command);
        if let Some((name, default)) = servers.iter().find(|(server, _)| *server == name) {
            let args: Vec<&str> = args
                .split_whitespace()
                .chain(["--listen", "127.0.0.1:0"])
                .collect();
            let server = Program::start(name, &args, 1).await;
            let lines = step.output.len();
            until("it has said all", async || {
                server.output().lines().count() >= lines
            })
            .await;
            let output = server
                .output()
                .replace(&server.addrs[0].to_string(), default);
            compare(readme, &step, &output);
            if let Some((mut before, _)) = running.replace((server, default)) {
                ends_well(&mut before).await;
            }
        } else if let Some((server, default)) = &running {
            let command = format!("{name} {args}").replace(default, &server.addrs[0].to_string());
            compare(
                readme,
                &step,
                &shell(&command, server)
                    .await
                    .replace(&server.addrs[0].to_string(), default),
            );
        } else {
            continue;
        }
        compared += 1;
    }
    ends_well(&mut running.expect("a README that starts a server").0).await;
    assert!(compared > 1, "{readme} has no command besides the server's");
}

/// SIGTERM ends a server, with status 0.
async fn ends_well(server: &mut Program) {
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.output());
}

/// The name and the arguments, without the `cargo run` that a reader types.
fn executable(command: &str) -> (&str, &str) {
    let Some(run) = command.strip_prefix("cargo run ") else {
        return command.split_once(' ').unwrap_or((command, ""));
    };
    let (cargo, args) = run.split_once(" -- ").unwrap_or((run, ""));
    // `-p PACKAGE`, or `-p PACKAGE --bin NAME`: the last word either way.
    (cargo.rsplit(' ').next().unwrap_or(cargo), args)
}

/// What a command prints, in a shell that knows the greeter's client.
async fn shell(command: &str, server: &Program) -> String {
    let script = format!(
        "greeter-client() {{ '{}' \"$@\" --connect {}; }}\n{command}",
        program("greeter-client").display(),
        server.addrs[0],
    );
    let run = move || {
        Command::new("bash")
            .args(["-c", &script])
            .output()
            .expect("bash runs")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("it ends");
    String::from_utf8(output.stdout).expect("text")
}

fn compare(readme: &str, step: &Step, output: &str) {
    let normal = |lines: &mut dyn Iterator<Item = &str>| {
        let mut lines: Vec<String> = lines.map(|line| normalised(line.trim_end())).collect();
        if step.command.contains(" & ") {
            // Two processes at once print in any order.
            lines.sort();
        }
        lines
    };
    let expected = normal(&mut step.output.iter().map(String::as_str));
    let printed = normal(&mut output.lines());
    assert_eq!(printed, expected, "{readme}: $ {}", step.command);
}

/// A line without what differs from run to run: the time of day, counters, what depends on them.
fn normalised(line: &str) -> String {
    if let Some(name) = ["date:", "age:", "ratelimit:"]
        .iter()
        .find(|name| line.starts_with(**name))
    {
        return (*name).to_owned();
    }
    let is_digit = |c: char| c.is_ascii_digit();
    if line.contains("\"heap\":") || line.trim_start().starts_with(is_digit) {
        let without: String = line.chars().filter(|c| !is_digit(*c)).collect();
        return without.trim().to_owned();
    }
    line.to_owned()
}

fn steps(readme: &str) -> Vec<Step> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(readme);
    let text = fs::read_to_string(&path).expect("a README");
    let (mut steps, mut inside) = (Vec::<Step>::new(), false);
    for line in text.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => inside = line == "```console",
            _ if !inside => {}
            Some(command) => steps.push(Step {
                command: command.to_owned(),
                output: Vec::new(),
            }),
            None => steps
                .last_mut()
                .expect("a command first")
                .output
                .push(line.to_owned()),
        }
    }
    steps
}
