//! The greeter's server.

use std::error::Error;

use memguard_layer::Heap;
use tokio::net::TcpListener;
use tonic_greeter::{Flags, serve};

/// Counts every byte on the heap: what the memory guard reads.
#[global_allocator]
static HEAP: Heap = Heap::new();

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::read();
    let listener = TcpListener::bind(flags.listen)
        .await
        .unwrap_or_else(|error| {
            eprintln!("error: cannot listen on {}: {error}", flags.listen);
            std::process::exit(1);
        });
    println!("greeter-server on {}", listener.local_addr()?);
    serve(&flags, listener, stop_signal()).await?;
    Ok(())
}

/// Completes at SIGTERM or Ctrl-C.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
}
