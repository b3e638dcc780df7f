//! The gateway's program: flags in, addresses out, signals to the end.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use hyper_gateway::{Flags, Gateway, Refusal};
use memguard_layer::Heap;

#[cfg(not(feature = "pprof"))]
#[global_allocator]
static HEAP: Heap = Heap::new();

#[cfg(feature = "pprof")]
#[global_allocator]
static HEAP: Heap<tikv_jemallocator::Jemalloc> = Heap::with(tikv_jemallocator::Jemalloc);

fn main() -> ExitCode {
    let flags = match Flags::read(std::env::args_os()) {
        Ok(flags) => flags,
        Err(Refusal::Help(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(Refusal::Unusable(why)) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    match serve(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(flags: Flags) -> io::Result<()> {
    // Before the address is printed: whoever reads it may send the signal.
    let stop = stop_signal()?;
    let upstream = flags.upstream.clone();
    let gateway = Gateway::bind(flags)?;
    let addresses = gateway.addresses()?;
    let addresses: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    print!(
        "hyper-gateway on http://{} to http://{upstream}",
        addresses.join(" and on http://")
    );
    match gateway.admin_address()? {
        Some(admin) => println!(", admin on http://{admin}"),
        None => println!(),
    }
    gateway.run(stop).await;
    Ok(())
}

/// Completes at SIGTERM or Ctrl-C.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Completes at Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
