//! The least that a hyper server does: answers every request with the one answer that it was given.
//!
//! `bare FILE` reads a whole HTTP/1.1 answer, as `curl -i` prints it, and listens on a free port.

use std::convert::Infallible;
use std::error::Error;
use std::future::ready;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os().nth(1).ok_or("usage: bare FILE")?;
    let answer = parse(&std::fs::read(file)?)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("bare on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        let service = service_fn(move |_| ready(Ok::<_, Infallible>(answer.clone())));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// The fields and the body of an answer whose status is 200.
fn parse(answer: &[u8]) -> Result<Response<Full<Bytes>>, Box<dyn Error>> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.ok_or("the answer's head has no end")? + 4);
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(body)));
    let mut lines = std::str::from_utf8(head)?.lines();
    if lines.next() != Some("HTTP/1.1 200 OK") {
        return Err("the answer is no 200".into());
    }
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").ok_or("a line is no field")?;
        let (name, value) = (name.parse::<HeaderName>()?, value.parse::<HeaderValue>()?);
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_is_read_as_it_was_printed() {
        let answer =
            parse(b"HTTP/1.1 200 OK\r\nvia: 1.1 a\r\nvia: 1.1 b\r\n\r\nx\r\n\r\ny").unwrap();
        let fields: Vec<_> = answer.headers().get_all("via").iter().collect();
        assert_eq!(fields, ["1.1 a", "1.1 b"]);
        assert!(parse(b"HTTP/1.1 404 Not Found\r\n\r\n").is_err());
    }
}
