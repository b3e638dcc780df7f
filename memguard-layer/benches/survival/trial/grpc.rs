//! A client-streaming call whose handler keeps every message until the last has come. Messages are plain bytes.

use std::{net::SocketAddr, time::Duration};

use axum::extract::Request;
use bytes::{Buf, BufMut, Bytes};
use http::{Response, uri::PathAndQuery};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Status, Streaming,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use super::load::Gate;

pub(super) const PATH: &str = "/survival.Store/Put";
const MESSAGE: &[u8] = &[0; 64 << 10];

struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Answers with the number of bytes.
pub(super) async fn put(request: Request) -> Response<Body> {
    let put = service_fn(async |request: tonic::Request<Streaming<Bytes>>| {
        let (mut stream, mut messages) = (request.into_inner(), Vec::new());
        while let Some(message) = stream.message().await? {
            messages.push(message);
        }
        let bytes: usize = messages.iter().map(Bytes::len).sum();
        Ok(tonic::Response::new(Bytes::from(bytes.to_string())))
    });
    tonic::server::Grpc::new(Raw)
        .client_streaming(put, request)
        .await
}

/// Connections that streams share.
pub(super) fn channels(address: SocketAddr) -> Vec<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    (0..10).map(|_| endpoint.connect_lazy()).collect()
}

/// Streams `bytes` over `time`, holds the end back until the gate opens, and says how it was answered.
pub(super) async fn stream(channel: Channel, bytes: usize, time: Duration, gate: Gate) -> String {
    let (sender, messages) = mpsc::channel(1);
    tokio::spawn(async move {
        let messages = bytes / MESSAGE.len();
        for _ in 0..messages {
            sleep(time / messages as u32).await;
            if sender.send(Bytes::from_static(MESSAGE)).await.is_err() {
                return;
            }
        }
        gate.pass().await;
    });
    let mut client = tonic::client::Grpc::new(channel);
    if client.ready().await.is_err() {
        return "no connection".to_owned();
    }
    let request = tonic::Request::new(ReceiverStream::new(messages));
    let path = PathAndQuery::from_static(PATH);
    match client.client_streaming(request, path, Raw).await {
        Ok(answer) => {
            let _: tonic::Response<Bytes> = answer;
            "OK".to_owned()
        }
        Err(status) if status.code() == Code::ResourceExhausted => "RESOURCE_EXHAUSTED".to_owned(),
        Err(status) => format!("{:?}", status.code()),
    }
}
