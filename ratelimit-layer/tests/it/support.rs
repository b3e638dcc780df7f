//! Requests, a service to put under a layer, and what to ask of responses.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::net::SocketAddr;
use tower::{Service, ServiceExt};

/// A request from 192.0.2.`client`.
pub(crate) fn request(client: u8) -> Request<()> {
    Request::builder()
        .extension(SocketAddr::from(([192, 0, 2, client], 4711)))
        .body(())
        .unwrap()
}

/// A request of a gRPC client.
pub(crate) fn grpc_request(client: u8) -> Request<()> {
    let mut request = request(client);
    request
        .headers_mut()
        .insert("content-type", "application/grpc+proto".parse().unwrap());
    request
}

pub(crate) async fn hello(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

/// Waits until the service is ready and calls it.
pub(crate) async fn send<S, B>(service: &mut S, request: Request<()>) -> Response<B>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let Ok(response) = service
        .ready()
        .await
        .unwrap_or_else(|never| match never {})
        .call(request)
        .await;
    response
}

pub(crate) async fn text<B>(response: Response<B>) -> String
where
    B: Body<Data = Bytes, Error = Infallible>,
{
    let Ok(body) = response.into_body().collect().await;
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}
