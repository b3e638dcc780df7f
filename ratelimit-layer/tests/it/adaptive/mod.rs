//! `ConcurrencyLimitLayer::adaptive`: the limit finds what a service can bear, and finds it again.

mod answers;
mod origin;
mod settings;
mod settling;
mod traffic;
