//! The server's command line.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};

use bytesize::ByteSize;
use clap::{CommandFactory, Parser, error::ErrorKind};
use memguard_layer::{HeapBudget, MemGuardLayer};
use ratelimit_layer::Quota;

use crate::client::ClientFlags;

/// The standard gRPC greeter, limited and guarded.
#[derive(Clone, Debug, Parser)]
#[command(name = "greeter-server", version)]
pub struct Flags {
    /// Address to serve on; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,

    /// Calls each client may make.
    #[arg(long, value_name = "QUOTA", default_value = "100/s burst 200")]
    pub rate: Quota,

    /// Calls a client may make at once after a pause; the quota's own unless given.
    #[arg(long, value_name = "N")]
    pub burst: Option<NonZeroU32>,

    /// Calls each client may have in flight; a stream counts until its last message.
    #[arg(long, value_name = "N", default_value = "64")]
    pub concurrency: NonZeroUsize,

    /// Heap bytes at which calls are refused.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = heap_budget)]
    pub heap_budget: ByteSize,

    /// Whom a call counts for.
    #[command(flatten)]
    pub client: ClientFlags,
}

fn heap_budget(text: &str) -> Result<ByteSize, String> {
    text.parse()
        .and_then(HeapBudget::resolve)
        .and_then(|bytes| MemGuardLayer::try_new(bytes).map(|_| ByteSize(bytes)))
        .map_err(|why| why.to_string())
}

impl Flags {
    /// The command line; ends the program where it asks for help or cannot be used.
    #[must_use]
    pub fn read() -> Self {
        let mut flags = Self::parse();
        if let Some(burst) = flags.burst {
            flags.rate = flags.rate.try_burst(burst.get()).unwrap_or_else(|why| {
                Self::command()
                    .error(ErrorKind::ValueValidation, why)
                    .exit()
            });
        }
        flags
    }
}
