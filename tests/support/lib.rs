//! What the end-to-end tests share: servers on free loopback ports that end with their test,
//! real clients, raw connections, scripted bodies, and the example programs as processes.

pub mod body;
pub mod cached;
pub mod client;
pub mod curl;
pub mod echo;
pub mod process;
pub mod raw;
pub mod serve;
pub mod wait;

/// The error type of everything that can fail in more than one way.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The project's README: its Rust is compiled with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;
