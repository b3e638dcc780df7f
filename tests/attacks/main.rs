//! Published attacks on caches, a row each, through a real gateway over raw sockets.
//!
//! The upstream is hostile: it echoes what it is sent and marks its answers as fresh, as a cache that
//! falls for a row would store them. Each row is run against a naive cache too, which must fall.

mod attack;
mod driver;
mod http2;
mod message;
mod naive;
mod origin;
mod rows;

use std::collections::BTreeMap;

use end_to_end::{client::Client, process::Program, wait::until};

use attack::{Attack, Holds};
use driver::{Target, withstands};
use naive::Naive;
use origin::Origin;

/// A gateway before a hostile upstream.
struct Setup {
    gateway: Program,
    origin: Origin,
}

impl Setup {
    async fn start(rows: &'static [Attack], flags: &[&str]) -> Self {
        let origin = Origin::start(rows).await;
        let upstream = format!("http://{}", origin.addr);
        let addresses = [
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--upstream",
            &upstream,
        ];
        let gateway = Program::start("hyper-gateway", &[&addresses, flags].concat(), 2).await;
        Self { gateway, origin }
    }

    /// Whatever it was sent, it stands, keeps to its room, and soon has nothing in hand.
    async fn is_sound(&self) {
        let output = self.gateway.output();
        assert!(!output.contains("panicked"), "{output}");
        let client = Client::http1();
        let admin = format!("http://{}/stats", self.gateway.addrs[1]);
        until("nothing is being filled", async || {
            let stats = client.get(&admin).await;
            let stats: serde_json::Value =
                serde_json::from_slice(&stats.body).expect("stats are JSON");
            let cache = |name: &str| stats["cache"][name].as_u64().expect("a number");
            assert!(cache("bytes") <= cache("max_bytes"), "{stats}");
            cache("filling") == 0
        })
        .await;
    }
}

/// Runs a family's rows.
async fn run(rows: &'static [Attack]) {
    for (number, row) in rows.iter().enumerate() {
        assert!(!row.source.is_empty(), "{:?} has no source", row.name);
        let same = rows[..number]
            .iter()
            .find(|other| other.name == row.name && other.gateway == row.gateway);
        assert!(
            same.is_none_or(|same| same.source != row.source),
            "{:?} is there twice",
            row.name
        );
    }
    let (through_gateways, against_naive) =
        tokio::join!(through_gateways(rows), against_naive(rows));
    let failures = [through_gateways, against_naive].concat();
    let (failed, all) = (failures.len(), rows.len());
    assert!(
        failures.is_empty(),
        "{failed} failures in {all} rows:\n{}",
        failures.join("\n")
    );
}

/// What a gateway does not withstand; one for all rows with the same flags.
async fn through_gateways(rows: &'static [Attack]) -> Vec<String> {
    let mut setups = BTreeMap::new();
    let mut failures = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        if !setups.contains_key(row.gateway) {
            setups.insert(row.gateway, Setup::start(rows, row.gateway).await);
        }
        let setup = &setups[row.gateway];
        let target = Target {
            addr: setup.gateway.addrs[0],
            origin: &setup.origin,
            speaks_http2: true,
        };
        if let Err(why) = withstands(&target, row, number).await {
            failures.push(format!("{:?} ({}): {why}", row.name, row.source));
        }
    }
    for setup in setups.values() {
        setup.is_sound().await;
    }
    failures
}

/// What the naive cache withstands: such a row shows nothing, unless it says why.
async fn against_naive(rows: &'static [Attack]) -> Vec<String> {
    let mut failures = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        // What is shared by somebody's word is no attack.
        if matches!(row.holds, Holds::Shared(_)) {
            continue;
        }
        // A new one each time: some of them get it out of step for good.
        let origin = Origin::start(rows).await;
        let naive = Naive::start(origin.addr).await;
        let target = Target {
            addr: naive.addr,
            origin: &origin,
            speaks_http2: false,
        };
        let fell = withstands(&target, row, number).await.is_err();
        if fell != row.harmless.is_none() {
            failures.push(format!("{:?}: the naive cache falls: {fell}", row.name));
        }
    }
    failures
}

macro_rules! families {
    ($($family:ident),+) => {
        $(#[tokio::test]
        async fn $family() {
            run(rows::$family::ROWS).await;
        })+
    };
}

families!(
    answers,
    chunks,
    conditions,
    credentials,
    downgrades,
    errors,
    floods,
    headers,
    hops,
    hosts,
    keys,
    methods,
    paths,
    probes,
    query,
    ranges,
    smuggling,
    vary
);
