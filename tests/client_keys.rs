//! Whom the examples count a request for, with curl as client and as the proxy before them.

use std::net::TcpListener;

use axum::{Router, routing::get};
use end_to_end::{curl::curl, process::Program, serve::Server};

const EXAMPLES: [&str; 2] = ["hyper-gateway", "axum-api"];

/// An example before whose quota of one request an hour everybody is refused at the second.
struct Limited {
    program: Program,
    _upstream: Server,
}

impl Limited {
    async fn start(name: &str, listen: &[&str], flags: &str) -> Self {
        let hello = Router::new().route("/items/1", get(async || "hello\n"));
        let upstream = Server::axum(hello).await;
        let url = upstream.url("");
        let mut args = vec!["--rate", "1/h"];
        if name == "hyper-gateway" {
            args.extend(["--upstream", &url, "--cache-bytes", "0"]);
        }
        args.extend(listen.iter().flat_map(|address| ["--listen", address]));
        args.extend(flags.split_whitespace());
        Self {
            program: Program::start(name, &args, listen.len()).await,
            _upstream: upstream,
        }
    }

    /// The status of a request with these header lines to this host, or to the first listener.
    async fn ask(&self, host: Option<&str>, lines: &[&str]) -> u16 {
        let host = host.map_or_else(|| self.program.addrs[0].to_string(), str::to_owned);
        let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
        let lines = lines.iter().flat_map(|line| ["--header", line]);
        let options = status.into_iter().chain(lines);
        let printed = curl(options, &format!("http://{host}/items/1")).await;
        printed.parse().expect("a status")
    }
}

/// Asks both examples with these flags, once for each set of lines, and expects these statuses.
async fn answers(flags: &str, requests: &[(&[&str], u16)]) {
    for name in EXAMPLES {
        let limited = Limited::start(name, &["127.0.0.1:0"], flags).await;
        for (lines, expected) in requests {
            let status = limited.ask(None, lines).await;
            let lines: Vec<_> = lines
                .iter()
                .map(|line| &line[..line.len().min(200)])
                .collect();
            assert_eq!(status, *expected, "{name} {flags}: {lines:?}");
        }
        let output = limited.program.output();
        assert!(!output.contains("panicked"), "{output}");
    }
}

#[tokio::test]
async fn who_is_not_trusted_cannot_name_itself() {
    let flags = "--trusted-proxy 10.0.0.0/8";
    for flags in ["", flags, "--trusted-proxy 10.0.0.0/8 --trusted-hops 1"] {
        answers(
            flags,
            &[
                (&["X-Forwarded-For: 203.0.113.1"], 200),
                (&["X-Forwarded-For: 203.0.113.2"], 429),
                (&["Forwarded: for=203.0.113.3"], 429),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn what_a_client_writes_stands_left_and_does_not_count() {
    for flags in ["--trusted-hops 1", "--trusted-proxy 127.0.0.0/8"] {
        answers(
            flags,
            &[
                (&["X-Forwarded-For: 203.0.113.9"], 200),
                (&["X-Forwarded-For: 198.51.100.1, 203.0.113.9"], 429),
                (
                    &[
                        "X-Forwarded-For: 198.51.100.2",
                        "X-Forwarded-For: 203.0.113.9",
                    ],
                    429,
                ),
                (&["X-Forwarded-For: unknown,\",[::, 203.0.113.9:80"], 429),
                (&["X-Forwarded-For: ::ffff:203.0.113.9"], 429),
                (&["X-Forwarded-For: 203.0.113.9, 198.51.100.1"], 200),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn the_second_of_two_hops_is_the_client() {
    answers(
        "--trusted-hops 2",
        &[
            (
                &["X-Forwarded-For: 198.51.100.1, 203.0.113.9, 192.0.2.1"],
                200,
            ),
            (
                &["X-Forwarded-For: 198.51.100.2, 203.0.113.9, 192.0.2.2"],
                429,
            ),
            (&["X-Forwarded-For: 203.0.113.8, 192.0.2.1"], 200),
            // Past a proxy: it counts for the peer.
            (&["X-Forwarded-For: 192.0.2.1"], 200),
            (&["X-Forwarded-For: 192.0.2.2"], 429),
            (&[], 429),
        ],
    )
    .await;
}

#[tokio::test]
async fn only_one_header_counts() {
    answers(
        "--trusted-hops 1 --client-header forwarded",
        &[
            (
                &[
                    "Forwarded: for=203.0.113.9",
                    "X-Forwarded-For: 198.51.100.1",
                ],
                200,
            ),
            (
                &[
                    "Forwarded: for=203.0.113.9",
                    "X-Forwarded-For: 198.51.100.2",
                ],
                429,
            ),
            (
                &["Forwarded: for=\"198.51.100.3, for=203.0.113.9;host=\"a\""],
                429,
            ),
            (&["Forwarded: for=\"[2001:db8::1]:80\";proto=https"], 200),
            // Without it the peer is the client.
            (&["X-Forwarded-For: 198.51.100.3"], 200),
            (&["X-Forwarded-For: 198.51.100.4"], 429),
        ],
    )
    .await;
    answers(
        "--trusted-hops 1",
        &[
            (
                &[
                    "X-Forwarded-For: 203.0.113.9",
                    "Forwarded: for=198.51.100.1",
                ],
                200,
            ),
            (
                &[
                    "X-Forwarded-For: 203.0.113.9",
                    "Forwarded: for=198.51.100.2",
                ],
                429,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn long_lists_and_long_entries_are_as_good_as_short_ones() {
    let list = |entry: &str, last: &str| {
        let forged = format!("{entry},").repeat(10_000);
        format!("X-Forwarded-For: {forged}{last}")
    };
    let (one, other) = (
        list("1.1.1.1", "203.0.113.9"),
        list("2.2.2.2", "203.0.113.9"),
    );
    let proxies = list("127.0.0.1", "127.0.0.1");
    let endless = format!("X-Forwarded-For: {}", "1".repeat(100_000));
    for flags in ["--trusted-hops 1", "--trusted-proxy 127.0.0.0/8"] {
        let unreadable = [&*endless, "X-Forwarded-For: 127.0.0.1"];
        let unreadable = &unreadable[..if flags.contains("hops") { 1 } else { 2 }];
        answers(
            flags,
            &[
                (&[&one], 200),
                (&[&other], 429),
                // The peer's quota, as if nobody had said anything.
                (&[&proxies], 200),
                (unreadable, 429),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn ipv6_clients_count_by_their_network() {
    const LINES: [&str; 3] = [
        "X-Forwarded-For: 2001:db8:0:1::1",
        "X-Forwarded-For: 2001:db8:0:1:ffff::2",
        "X-Forwarded-For: 2001:db8:0:2::1",
    ];
    for (prefix, statuses) in [
        (64, [200, 429, 200]),
        (48, [200, 429, 429]),
        (128, [200, 200, 200]),
    ] {
        let requests = [0, 1, 2].map(|at| (&LINES[at..=at], statuses[at]));
        let flags = format!("--trusted-hops 1 --ipv6-prefix {prefix}");
        answers(&flags, &requests).await;
    }
}

#[tokio::test]
async fn an_api_key_counts_in_place_of_the_address() {
    answers(
        "--key-header X-Api-Key",
        &[
            (&["X-Api-Key: a"], 200),
            (&["X-Api-Key: a"], 429),
            (&["X-Api-Key: b"], 200),
            // By address.
            (&[], 200),
            (&["X-Api-Key;"], 429),
            (&["X-Other-Key: c"], 429),
            // No key is an address.
            (&["X-Api-Key: 127.0.0.1"], 200),
        ],
    )
    .await;
}

#[tokio::test]
async fn one_listens_on_ipv4_and_ipv6() {
    for name in EXAMPLES {
        let limited = Limited::start(name, &["127.0.0.1:0", "[::1]:0"], "").await;
        let [v4, v6] = &limited.program.addrs[..] else {
            panic!("{:?}", limited.program.addrs);
        };
        assert!(v4.is_ipv4() && v6.is_ipv6());
        for address in [v4.to_string(), v6.to_string()] {
            assert_eq!(
                limited.ask(Some(&address), &[]).await,
                200,
                "{name} {address}"
            );
            assert_eq!(
                limited.ask(Some(&address), &[]).await,
                429,
                "{name} {address}"
            );
        }
    }
}

#[tokio::test]
async fn one_port_is_listened_on_by_both_or_by_one_for_both() {
    for name in EXAMPLES {
        for all in [&["0.0.0.0", "[::]"][..], &["[::]", "0.0.0.0"], &["[::]"]] {
            // Free for both; nothing else on the machine looks for it just now.
            let port = TcpListener::bind("[::]:0").and_then(|free| free.local_addr());
            let port = port.expect("a free port").port();
            let listen: Vec<_> = all.iter().map(|host| format!("{host}:{port}")).collect();
            let listen: Vec<_> = listen.iter().map(String::as_str).collect();
            let flags = "--trusted-proxy 127.0.0.0/8";
            let limited = Limited::start(name, &listen, flags).await;
            let (v4, v6) = (format!("127.0.0.1:{port}"), format!("[::1]:{port}"));
            let said = &["X-Forwarded-For: 203.0.113.9"][..];
            for (host, lines, expected) in [
                // The proxy is one of the list, by whichever socket it comes.
                (&v4, said, 200),
                (&v4, said, 429),
                (&v4, &[], 200),
                (&v6, said, 200),
                (&v6, &[], 429),
            ] {
                let status = limited.ask(Some(host), lines).await;
                assert_eq!(status, expected, "{name} {all:?} {host} {lines:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_told() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = holder.local_addr().expect("an address").to_string();
    for name in EXAMPLES {
        let args = [
            "--listen",
            "[::1]:0",
            "--listen",
            &taken,
            "--upstream",
            "http://h",
        ];
        let args = &args[..if name == "axum-api" { 4 } else { 6 }];
        let output = end_to_end::process::run(name, args);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).expect("text");
        assert!(
            text.starts_with(&format!("error: cannot listen on {taken}: ")),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
