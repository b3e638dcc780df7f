//! The gRPC service the layers are tried with.

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, codegen::BoxStream};

#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::pedantic
)]
mod generated {
    tonic::include_proto!("echo");
}

pub use generated::{Words, echo_client::EchoClient, echo_server::EchoServer};

/// Says back what it is told; streams stay open until the [`Release`] is dropped.
#[derive(Clone, Debug)]
pub struct Echo {
    released: watch::Receiver<()>,
}

/// Keeps every stream of its [`Echo`] open while it lives.
#[derive(Debug)]
pub struct Release {
    _held: watch::Sender<()>,
}

/// The service, and what holds its streams open.
#[must_use]
pub fn echo() -> (EchoServer<Echo>, Release) {
    let (held, released) = watch::channel(());
    (EchoServer::new(Echo { released }), Release { _held: held })
}

/// A message.
#[must_use]
pub fn words(text: &str) -> Words {
    Words {
        text: text.to_owned(),
    }
}

#[tonic::async_trait]
impl generated::echo_server::Echo for Echo {
    async fn say(&self, request: Request<Words>) -> Result<Response<Words>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    type HoldStream = BoxStream<Words>;

    async fn hold(&self, request: Request<Words>) -> Result<Response<Self::HoldStream>, Status> {
        let (sender, receiver) = mpsc::channel(1);
        let mut released = self.released.clone();
        tokio::spawn(async move {
            if sender.send(Ok(request.into_inner())).await.is_ok() {
                tokio::select! {
                    _ = released.changed() => {}
                    () = sender.closed() => {}
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
