//! The wrapper around hyper's own server, over a pipe that takes a few octets at a time.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, LINK};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, SimplexStream, WriteHalf};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

use super::{Connection, Exchange, Held, MOST, MOST_BYTES, encode};

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A body in pieces, of a length that hyper is told or not.
struct Pieces {
    left: Vec<Bytes>,
    length: Option<u64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.left.pop().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.length
            .map_or_else(Default::default, http_body::SizeHint::with_exact)
    }
}

fn link(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(LINK, HeaderValue::from_str(value).unwrap())])
}

/// The client's ends of the two pipes.
type Client = (ReadHalf<SimplexStream>, WriteHalf<SimplexStream>);

/// hyper's server, whose pipe to the client holds `capacity` octets. `answer` makes the answers,
/// and may send from their exchanges.
fn serve<A>(
    capacity: usize,
    vectored: bool,
    answer: impl Fn(Request<Incoming>, Exchange) -> A + Send + 'static,
) -> (Client, JoinHandle<()>)
where
    A: Future<Output = Answer> + Send + 'static,
{
    let (requests, to_server) = tokio::io::simplex(1 << 20);
    let (from_server, answers) = tokio::io::simplex(capacity);
    let server = TokioIo::new(tokio::io::join(requests, answers));
    let (connection, exchanges) = Connection::new(server);
    let service = service_fn(move |request: Request<Incoming>| {
        let exchange = exchanges.next();
        // As if a request for it were on its way upstream.
        exchange.clone().follow(&mut Request::new(()));
        let held = Held::new(answer(request, exchange.clone()), Some(exchange));
        async move { Ok::<_, Infallible>(held.await) }
    });
    let server = http1::Builder::new()
        .writev(vectored)
        .auto_date_header(false)
        .serve_connection(connection, service);
    let task = tokio::spawn(async move { drop(server.await) });
    ((from_server, to_server), task)
}

/// Everything that comes back for `requests`, written at once.
async fn converse((mut read, mut write): Client, requests: &str) -> String {
    write.write_all(requests.as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    timeout(Duration::from_secs(60), read.read_to_end(&mut answers))
        .await
        .expect("the connection hangs")
        .unwrap();
    String::from_utf8(answers).unwrap()
}

fn text(number: usize) -> String {
    // Looks like what must not be mistaken for a head.
    format!("{number} HTTP/1.1 103\r\n\r\n").repeat(number % 40)
}

/// Answers path `/N` after N % 4 interim responses, sent at a pace that N gives, with one of two
/// kinds of body.
async fn by_number(request: Request<Incoming>, exchange: Exchange) -> Answer {
    let number: usize = request.uri().path()[1..].parse().unwrap();
    let sent = tokio::spawn(async move {
        for turn in 0..number % 4 {
            for _ in 0..turn * (number % 5) {
                yield_now().await;
            }
            let hint = link(&format!("</{number}.{turn}>"));
            exchange.send(StatusCode::EARLY_HINTS, &hint);
        }
    });
    sent.await.unwrap();
    let text = text(number);
    let mut left: Vec<_> = text
        .as_bytes()
        .chunks(100)
        .map(Bytes::copy_from_slice)
        .collect();
    left.reverse();
    let length = number.is_multiple_of(2).then_some(text.len() as u64);
    Response::new(Pieces { left, length }.boxed_unsync())
}

fn ok() -> Answer {
    let (left, length) = (Vec::new(), Some(0));
    Response::new(Pieces { left, length }.boxed_unsync())
}

/// What a client must read for path `/N`.
fn expected(number: usize) -> String {
    let mut all = String::new();
    for turn in 0..number % 4 {
        let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: </{number}.{turn}>\r\n\r\n");
        all.push_str(&hint);
    }
    let text = text(number);
    if number.is_multiple_of(2) {
        let length = text.len();
        write!(
            all,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}"
        )
        .unwrap();
    } else {
        all.push_str("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        for piece in text.as_bytes().chunks(100) {
            let (length, piece) = (piece.len(), std::str::from_utf8(piece).unwrap());
            write!(all, "{length:X}\r\n{piece}\r\n").unwrap();
        }
        all.push_str("0\r\n\r\n");
    }
    all
}

#[tokio::test]
async fn they_stand_between_messages_whatever_the_pipe_takes() {
    let numbers = || 0..60;
    let mut requests: String = numbers()
        .map(|number| format!("GET /{number} HTTP/1.1\r\n\r\n"))
        .collect();
    requests.push_str("GET /3 HTTP/1.1\r\nconnection: close\r\n\r\n");
    let mut expected: String = numbers().map(expected).collect();
    expected.push_str(&self::expected(3).replace("OK\r\n", "OK\r\nconnection: close\r\n"));

    for capacity in [1, 2, 3, 7, 50, 333, 5000, 1 << 20] {
        for vectored in [false, true] {
            let (client, server) = serve(capacity, vectored, by_number);
            let answers = converse(client, &requests).await;
            assert!(answers == expected, "{capacity}, {vectored}: {answers}");
            server.await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_exchange_that_begins_before_the_last_answer_is_written_waits_for_its_end() {
    // Nobody reads this body, and it takes hyper two reads. It drops the second once the answer is
    // encoded, and begins the next exchange with the answer still in its buffer. (Not so with
    // vectored writes: there it waits for the buffer first.)
    let body = "x".repeat(12_000);
    let requests = format!(
        "POST /32 HTTP/1.1\r\ncontent-length: 12000\r\n\r\n{body}\
         GET /2 HTTP/1.1\r\nconnection: close\r\n\r\n"
    );
    let expected = expected(32) + &expected(2).replace("OK\r\n", "OK\r\nconnection: close\r\n");
    for capacity in [1, 2, 3, 7, 50, 333, 5000] {
        let (client, _server) = serve(capacity, false, by_number);
        let answers = converse(client, &requests).await;
        assert!(answers == expected, "{capacity}: {answers}");
    }
}

#[tokio::test]
async fn a_hundred_continue_and_they_do_not_meet() {
    for capacity in [1, 2, 7, 50, 5000] {
        let (client, _server) = serve(capacity, true, |request, exchange| async move {
            exchange.send(StatusCode::PROCESSING, &HeaderMap::new());
            let reading = tokio::spawn(request.into_body().collect());
            for turn in 0..9 {
                exchange.send(StatusCode::EARLY_HINTS, &link(&format!("</{turn}>")));
                yield_now().await;
            }
            assert_eq!(reading.await.unwrap().unwrap().to_bytes(), "abc");
            ok()
        });
        let request = "POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\
                       connection: close\r\n\r\nabc";
        let answers = converse(client, request).await;
        let mut heads: Vec<_> = answers.split_inclusive("\r\n\r\n").collect();
        let went_on = heads
            .iter()
            .position(|head| *head == "HTTP/1.1 100 Continue\r\n\r\n")
            .unwrap_or_else(|| panic!("{capacity}: {answers}"));
        heads.remove(went_on);
        assert_eq!(heads[0], "HTTP/1.1 102 Processing\r\n\r\n");
        for turn in 0..9 {
            let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: </{turn}>\r\n\r\n");
            assert_eq!(heads[turn + 1], hint, "{capacity}: {answers}");
        }
        assert!(heads[10].starts_with("HTTP/1.1 200 OK\r\n"), "{answers}");
        assert_eq!(heads.len(), 11, "{answers}");
    }
}

#[tokio::test]
async fn what_comes_after_the_answer_is_dropped() {
    let (client, _server) = serve(10, true, |request, exchange| async move {
        // Goes on while the body is written and the next exchange is under way.
        tokio::spawn(async move {
            for _ in 0..500 {
                exchange.send(StatusCode::EARLY_HINTS, &link(request.uri().path()));
                yield_now().await;
            }
        });
        yield_now().await;
        let (left, length) = (vec![Bytes::from_static(b"body"); 20], Some(80));
        Response::new(Pieces { left, length }.boxed_unsync())
    });
    let requests: String = (0..9)
        .map(|turn| format!("GET /{turn} HTTP/1.1\r\n\r\n"))
        .collect();
    let requests = requests + "GET /9 HTTP/1.1\r\nconnection: close\r\n\r\n";
    let answers = converse(client, &requests).await;
    let answers: Vec<_> = answers.split_inclusive(&"body".repeat(20)).collect();
    assert_eq!(answers.len(), 10, "{answers:?}");
    for (turn, answer) in answers.iter().enumerate() {
        let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: /{turn}\r\n\r\n");
        let last = answer.trim_start_matches(&hint);
        assert!(last.len() < answer.len(), "{answers:?}");
        assert!(last.starts_with("HTTP/1.1 200 OK\r\n"), "{answers:?}");
        assert!(!last.contains("link"), "{answers:?}");
    }
}

#[test]
fn their_number_and_size_are_bounded() {
    let taken = |headers: &HeaderMap| {
        let (connection, exchanges) = Connection::new(());
        let exchange = exchanges.next();
        exchange.clone().follow(&mut Request::new(()));
        let mut bytes = Vec::new();
        for turn in 0..100 {
            exchange.send(StatusCode::PROCESSING, headers);
            // What was taken counts as well.
            if turn % 3 == 0 {
                bytes.extend(connection.shared.take().unwrap_or_default());
            }
        }
        assert!(connection.shared.lock().bytes.is_empty());
        bytes.len()
    };
    let size = |headers: &HeaderMap| encode(StatusCode::PROCESSING, headers).len();
    let small = link("</>");
    assert_eq!(taken(&small), MOST * size(&small));
    let large = link(&"x".repeat(5000));
    assert_eq!(taken(&large), 3 * size(&large));
    assert_eq!(taken(&link(&"x".repeat(MOST_BYTES))), 0);
}

#[test]
fn an_exchange_that_ended_or_never_followed_sends_nothing() {
    let (connection, exchanges) = Connection::new(());
    let first = exchanges.next();
    first.send(StatusCode::PROCESSING, &HeaderMap::new());
    assert!(connection.shared.take().is_none());
    assert!(first.poll_end().is_ready());

    let second = exchanges.next();
    second.clone().follow(&mut Request::new(()));
    for late in [StatusCode::PROCESSING, StatusCode::EARLY_HINTS] {
        first.clone().follow(&mut Request::new(()));
        first.send(late, &HeaderMap::new());
    }
    second.send(StatusCode::CONTINUE, &HeaderMap::new());
    second.send(StatusCode::SWITCHING_PROTOCOLS, &HeaderMap::new());
    assert!(connection.shared.take().is_none());

    second.send(StatusCode::PROCESSING, &HeaderMap::new());
    assert!(second.poll_end().is_pending());
    assert_eq!(
        connection.shared.take().unwrap(),
        "HTTP/1.1 102 Processing\r\n\r\n"
    );
    assert!(second.poll_end().is_ready());
    assert!(exchanges.next().poll_end().is_ready());
}

#[test]
fn fields_of_the_connection_and_of_a_body_stay_behind() {
    let headers: HeaderMap = [
        ("connection", "x-gone"),
        ("x-gone", "1"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("link", "</a>"),
        ("link", "</b>;title=\u{e9}"),
    ]
    .into_iter()
    .map(|(name, value)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        (name.parse().unwrap(), value)
    })
    .collect();
    let unknown = StatusCode::from_u16(199).unwrap();
    assert_eq!(
        String::from_utf8(encode(unknown, &headers)).unwrap(),
        "HTTP/1.1 199 \r\nlink: </a>\r\nlink: </b>;title=\u{e9}\r\n\r\n"
    );
}
