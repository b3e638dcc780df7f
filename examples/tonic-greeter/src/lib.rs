//! The standard gRPC greeter behind a rate limit, a concurrency limit and a memory guard.

mod client;
mod flags;
mod greeter;
mod server;

pub use client::ClientFlags;
pub use flags::Flags;
pub use server::serve;

/// What the build script makes of `proto/helloworld.proto`.
#[allow(missing_docs, reason = "generated")]
pub mod helloworld {
    tonic::include_proto!("helloworld");
}
