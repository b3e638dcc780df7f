//! The greeter's client: prints each reply, or the status that came in its place.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_greeter::helloworld::HelloRequest;
use tonic_greeter::helloworld::greeter_client::GreeterClient;

/// Calls the greeter.
#[derive(Debug, Parser)]
struct Flags {
    /// Whom to greet.
    #[arg(default_value = "World")]
    name: String,
    /// Where the server listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    connect: SocketAddr,
    /// How many calls to make, one after another.
    #[arg(long, value_name = "N", default_value = "1")]
    count: u32,
    /// Ask for a stream of replies instead of one.
    #[arg(long)]
    stream: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let flags = Flags::parse();
    let server = Endpoint::from_shared(format!("http://{}", flags.connect))?;
    // Connects with the first call, so that a server that is not there is a status like any other.
    let mut client = GreeterClient::new(server.connect_lazy());
    let mut exit = ExitCode::SUCCESS;
    for _ in 0..flags.count {
        let request = HelloRequest {
            name: flags.name.clone(),
        };
        let call = if flags.stream {
            print_stream(&mut client, request).await
        } else {
            client
                .say_hello(request)
                .await
                .map(|reply| println!("{}", reply.into_inner().message))
        };
        if let Err(status) = call {
            println!("{:?}: {}", status.code(), status.message());
            exit = ExitCode::FAILURE;
        }
    }
    Ok(exit)
}

async fn print_stream(
    client: &mut GreeterClient<Channel>,
    request: HelloRequest,
) -> Result<(), Status> {
    let mut replies = client.say_hello_stream_reply(request).await?.into_inner();
    while let Some(reply) = replies.message().await? {
        println!("{}", reply.message);
    }
    Ok(())
}
