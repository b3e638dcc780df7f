//! What a check and a whole layer cost, what each kind of key costs, and what they allocate.
//!
//! `cargo bench -p ratelimit-layer --bench check` (add `-- --quick` for a short run)
#![allow(unsafe_code, reason = "counts allocations")]
#![allow(unreachable_pub, reason = "support is shared with tests/peers")]
#![allow(clippy::disallowed_types, reason = "measures real time")]

#[path = "../support/mod.rs"]
mod support;

mod checks;
mod layers;

use ratelimit_layer::Quota;
use support::threads::Effort;

fn main() {
    let asked = |flag| std::env::args().any(|argument| argument == flag);
    // Without cargo bench's own flag this is a test run, which shows that it works.
    let effort = match asked("--bench") {
        true => Effort::new(asked("--quick")),
        false => Effort::test(),
    };
    checks::checks(effort);
    layers::layers(effort);
    layers::keys(effort);
}

/// So wide that nothing is refused.
fn wide() -> Quota {
    Quota::per_second(1_000_000).burst(1_000_000_000)
}

/// So narrow that who comes again is refused.
fn narrow() -> Quota {
    Quota::per_hour(1)
}
