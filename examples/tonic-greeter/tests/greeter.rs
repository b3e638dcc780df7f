//! The server in this process, tonic's own client on a real connection.

use std::net::SocketAddr;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_greeter::helloworld::HelloRequest;
use tonic_greeter::helloworld::greeter_client::GreeterClient;
use tonic_greeter::{Flags, serve};

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), tonic::transport::Error>>,
}

async fn start(flags: &[&str]) -> (Server, GreeterClient<Channel>) {
    let flags = Flags::parse_from([&["greeter-server"], flags].concat());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        serve(&flags, listener, stopped).await
    });
    let client = GreeterClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    (
        Server {
            address,
            stop,
            running,
        },
        client,
    )
}

fn hello() -> HelloRequest {
    HelloRequest {
        name: "World".to_owned(),
    }
}

#[tokio::test]
async fn it_greets() {
    let (_server, mut client) = start(&[]).await;
    assert_eq!(
        client
            .say_hello(hello())
            .await
            .unwrap()
            .into_inner()
            .message,
        "Hello World!"
    );
}

#[tokio::test]
async fn calls_over_the_rate_are_resource_exhausted() {
    let (_server, mut client) = start(&["--rate", "2/h"]).await;
    for _ in 0..2 {
        client.say_hello(hello()).await.unwrap();
    }
    let status = client.say_hello(hello()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart() {
    let (_server, mut client) = start(&[
        "--rate",
        "1/h",
        "--trusted-proxy",
        "127.0.0.0/8",
        "--client-header",
        "x-real-ip",
    ])
    .await;
    for (address, allowed) in [
        ("192.0.2.1", true),
        ("192.0.2.2", true),
        ("192.0.2.1", false),
    ] {
        let mut request = Request::new(hello());
        request
            .metadata_mut()
            .insert("x-real-ip", address.parse().unwrap());
        assert_eq!(
            client.say_hello(request).await.is_ok(),
            allowed,
            "{address}"
        );
    }
}

#[tokio::test]
async fn api_keys_count_before_addresses_and_addresses_by_hops() {
    let flags = "--rate 1/h --trusted-hops 1 --ipv6-prefix 48 --key-header x-api-key";
    let (_server, mut client) = start(&flags.split(' ').collect::<Vec<_>>()).await;
    for (key, forwarded, allowed) in [
        ("a", "", true),
        ("b", "", true),
        ("a", "192.0.2.1", false),
        ("", "192.0.2.1", true),
        ("", "192.0.2.9, 192.0.2.1", false),
        ("", "2001:db8:0:1::1", true),
        ("", "2001:db8:0:2::1", false),
        ("", "2001:db8:1::1", true),
    ] {
        let mut request = Request::new(hello());
        for (name, value) in [("x-api-key", key), ("x-forwarded-for", forwarded)] {
            let value = value.parse().unwrap();
            request.metadata_mut().insert(name, value);
        }
        let answer = client.say_hello(request).await;
        assert_eq!(answer.is_ok(), allowed, "{key} {forwarded}");
    }
}

#[tokio::test]
async fn a_stream_counts_until_its_last_reply() {
    let (_server, mut client) = start(&["--concurrency", "1"]).await;
    let mut replies = client
        .say_hello_stream_reply(hello())
        .await
        .unwrap()
        .into_inner();
    let status = client.say_hello(hello()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");

    let mut count = 0;
    while let Some(reply) = replies.message().await.unwrap() {
        assert_eq!(reply.message, "Hello World!");
        count += 1;
    }
    assert_eq!(count, 5);
    client.say_hello(hello()).await.unwrap();
}

#[tokio::test]
async fn no_memory_is_resource_exhausted() {
    // Less than any process holds.
    let (_server, mut client) = start(&["--heap-budget", "1"]).await;
    let status = client.say_hello(hello()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

#[tokio::test]
async fn it_stops_once_calls_in_flight_have_their_replies() {
    let (server, mut client) = start(&[]).await;
    let mut replies = client
        .say_hello_stream_reply(hello())
        .await
        .unwrap()
        .into_inner();
    server.stop.send(()).unwrap();
    let mut count = 0;
    while replies.message().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 5);
    drop(client);
    server.running.await.unwrap().unwrap();
    assert!(
        GreeterClient::connect(format!("http://{}", server.address))
            .await
            .is_err()
    );
}

#[test]
fn flags_that_cannot_be_used_are_refused() {
    for flags in [
        &["--rate", "fast"][..],
        &["--concurrency", "0"],
        &["--heap-budget", "0"],
        &["--client-header", "forwarded"],
        &["--trusted-proxy", "10.0.0.0/33"],
        &["--trusted-hops", "0"],
        &["--ipv6-prefix", "129"],
        &["--key-header", "a b"],
    ] {
        let refusal = Flags::try_parse_from([&["greeter-server"], flags].concat()).unwrap_err();
        assert_eq!(refusal.exit_code(), 2, "{refusal}");
    }
}
