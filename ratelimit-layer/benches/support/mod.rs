//! Checks by many threads and requests to services, timed and counted: what the bench here shares with
//! the one beside the crate's peers.
#![allow(dead_code, reason = "each bench uses a part of it")]

#[path = "../../../cache-layer/benches/support/compare.rs"]
pub mod compare;
#[path = "../../../cache-layer/benches/support/cpu.rs"]
pub mod cpu;
#[path = "../../../cache-layer/benches/support/heap.rs"]
pub mod heap;
pub mod requests;
pub mod threads;
