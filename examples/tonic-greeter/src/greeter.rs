//! The service itself: it knows nothing of limits.

use std::pin::Pin;
use std::time::Duration;

use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use crate::helloworld::greeter_server::Greeter;
use crate::helloworld::{HelloReply, HelloRequest};

/// Replies in a stream, and the pause between them.
const REPLIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Greets whoever calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Polite;

fn greet(request: Request<HelloRequest>) -> HelloReply {
    HelloReply {
        message: format!("Hello {}!", request.into_inner().name),
    }
}

#[tonic::async_trait]
impl Greeter for Polite {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(greet(request)))
    }

    type SayHelloStreamReplyStream = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

    async fn say_hello_stream_reply(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<Self::SayHelloStreamReplyStream>, Status> {
        let replies = std::iter::repeat_n(Ok(greet(request)), REPLIES);
        Ok(Response::new(Box::pin(
            tokio_stream::iter(replies).throttle(PAUSE),
        )))
    }
}
