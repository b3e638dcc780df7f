//! Sends a row's octets and judges what comes back.

use std::{net::SocketAddr, time::Duration};

use end_to_end::wait::{soon, until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::{
    attack::{Attack, Holds, Sends, own_mark},
    http2,
    message::{Answer, answers, text},
    origin::{Origin, fill_in, host},
};

/// Where a request has no certain end, a server that says nothing for so long waits for more of it.
const QUIET: Duration = Duration::from_secs(2);

/// What a request asks for that follows on the same connection.
const FURTHER: &str = "/further";

/// Longer than anything else takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);

/// A cache before a hostile upstream.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) addr: SocketAddr,
    pub(crate) origin: &'a Origin,
    /// Else it is told the same in HTTP/1.1, without a second thought.
    pub(crate) speaks_http2: bool,
}

/// Whether the cache withstands the attack; if not, what happened.
pub(crate) async fn withstands(
    target: &Target<'_>,
    row: &Attack,
    number: usize,
) -> Result<(), String> {
    let attempt = Attempt { target, number };
    let uncertain = matches!(row.holds, Holds::InStep | Holds::Refused);
    let first = if uncertain {
        let follow = matches!(row.holds, Holds::InStep);
        attempt.send(row.first, QUIET, follow).await
    } else {
        attempt.send(row.first, PATIENCE, false).await
    };
    let seen = attempt.seen();
    match row.holds {
        Holds::Refused => attempt.is_refused(&first)?,
        Holds::InStep => attempt.is_in_step(&first, matches!(row.first, Sends::Http2(..)))?,
        _ => {}
    }
    let then: Vec<Answer> = attempt
        .send(row.then, PATIENCE, false)
        .await
        .into_iter()
        .flatten()
        .collect();
    let mark = text(&fill_in(row.mark.as_bytes(), number));
    judge(row, &mark, &then, attempt.seen() - seen)
}

struct Attempt<'a> {
    target: &'a Target<'a>,
    number: usize,
}

impl Attempt<'_> {
    /// The answers on each connection; with a further request on each, if `follow`.
    async fn send(&self, sends: Sends, patience: Duration, follow: bool) -> Vec<Vec<Answer>> {
        let addr = self.target.addr;
        let mut all = Vec::new();
        match sends {
            Sends::Nothing => {}
            Sends::Each(list) => {
                for request in list {
                    let to_head = request.starts_with(b"HEAD ");
                    let mut request = fill_in(request, self.number);
                    if follow {
                        request.extend(further(self.number).into_bytes());
                    }
                    let octets = converse(addr, &request, patience, |_| false).await;
                    all.push(answers(&octets, to_head));
                }
            }
            Sends::Many(count, request) => {
                let requests = (0..count).map(|count| self.numbered(request, count));
                all.push(in_turn(addr, requests).await);
            }
            Sends::AtOnce(count, request) => {
                let mut clients = JoinSet::new();
                for count in 0..count {
                    let request = self.numbered(request, count);
                    clients.spawn(async move {
                        let octets = converse(addr, &request, PATIENCE, |_| false).await;
                        (count, answers(&octets, false))
                    });
                    // The first one leads.
                    until("the first request has come", async || self.seen() > 0).await;
                }
                let mut list = clients.join_all().await;
                list.sort_by_key(|(count, _)| *count);
                all.extend(list.into_iter().map(|(_, answers)| answers));
            }
            Sends::Http2(fields, content) if self.target.speaks_http2 => {
                let host = host(self.number);
                let request = http2::request(fields, content, &host);
                converse(addr, &request, PATIENCE, http2::is_over).await;
            }
            Sends::Http2(fields, content) => {
                let host = host(self.number);
                let request = http2::downgraded(fields, content, &host) + &further(self.number);
                converse(addr, request.as_bytes(), QUIET, |_| false).await;
            }
        }
        all
    }

    fn numbered(&self, request: fn(usize) -> String, count: usize) -> Vec<u8> {
        fill_in(request(count).as_bytes(), self.number)
    }

    fn seen(&self) -> usize {
        self.target.origin.seen(self.number).len()
    }

    fn is_refused(&self, first: &[Vec<Answer>]) -> Result<(), String> {
        let seen = self.target.origin.seen(self.number);
        if !seen.is_empty() {
            return Err(format!("the upstream saw {seen:?}"));
        }
        match first.iter().flatten().find(|answer| answer.status < 400) {
            Some(answer) => Err(format!("it was answered {:?}", answer.text)),
            None => Ok(()),
        }
    }

    fn is_in_step(&self, first: &[Vec<Answer>], one_at_most: bool) -> Result<(), String> {
        let mut seen = Vec::new();
        for request in self.target.origin.seen(self.number) {
            seen.push(request.plain?);
        }
        if one_at_most {
            seen.retain(|target| target != FURTHER);
            return match *seen {
                [] | [_] => Ok(()),
                _ => Err(format!("one request became {seen:?}")),
            };
        }
        let answered: Vec<_> = first.iter().flatten().collect();
        let from_upstream = answered.iter().filter(|answer| !answer.is_from_store());
        let from_upstream = from_upstream.filter_map(|answer| answer.field("x-saw"));
        if !from_upstream.eq(seen.iter().map(String::as_str)) {
            let answered: Vec<_> = answered.iter().map(|answer| &answer.text).collect();
            return Err(format!(
                "the upstream saw {seen:?}, the client {answered:?}"
            ));
        }
        Ok(())
    }
}

/// A request that follows on the same connection.
fn further(number: usize) -> String {
    format!(
        "GET {FURTHER} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        host(number)
    )
}

fn judge(row: &Attack, mark: &str, then: &[Answer], asked: usize) -> Result<(), String> {
    let expected = match row.then {
        Sends::Each(list) => list.len(),
        Sends::Many(count, _) | Sends::AtOnce(count, _) => count,
        Sends::Nothing | Sends::Http2(..) => 0,
    };
    if then.len() != expected {
        return Err(format!(
            "the second client got {} answers, not {expected}",
            then.len()
        ));
    }
    let failed = |answer: &&Answer| !(200..300).contains(&answer.status);
    if let Some(failed) = then.iter().find(failed)
        && !matches!(row.holds, Holds::Shared(_))
    {
        return Err(format!("the second client got {:?}", failed.text));
    }
    let is_marked = |answer: &&Answer| answer.text.contains(mark);
    match row.holds {
        Holds::Clean | Holds::Refused | Holds::InStep => {
            if let Some(marked) = then.iter().find(is_marked) {
                return Err(format!("the second client got {:?}", marked.text));
            }
        }
        Holds::Content(content) => {
            for answer in then {
                if text(&answer.content) != content {
                    return Err(format!("the second client got {:?}", answer.text));
                }
            }
        }
        Holds::Own => {
            for (number, answer) in then.iter().enumerate() {
                let others = (0..then.len())
                    .filter(|other| *other != number)
                    .map(own_mark);
                let text = &answer.text;
                if !text.contains(&own_mark(number))
                    || others.into_iter().any(|other| text.contains(&other))
                {
                    return Err(format!("client {number} got {text:?}"));
                }
            }
        }
        Holds::Asked if asked == 0 => return Err(format!("the upstream was not asked: {then:?}")),
        Holds::Asked => {}
        Holds::Hits(least, most) => {
            let hits = then.iter().filter(|answer| answer.is_from_store()).count();
            if !(least..=most).contains(&hits) {
                return Err(format!("{hits} of {} came from the store", then.len()));
            }
        }
        Holds::Shared(word) => {
            if !then.iter().any(|answer| is_marked(&answer)) {
                return Err(format!(
                    "it is not shared, though the word is {word}: {then:?}"
                ));
            }
        }
    }
    Ok(())
}

/// Sends octets and reads until the server closes, or says no more, or all there is to say.
async fn converse(
    addr: SocketAddr,
    octets: &[u8],
    patience: Duration,
    is_over: impl Fn(&[u8]) -> bool,
) -> Vec<u8> {
    let stream = TcpStream::connect(addr).await.expect("the cache listens");
    let (mut reader, mut writer) = stream.into_split();
    let mut answer = Vec::new();
    let read = async {
        while !is_over(&answer)
            && let Ok(Ok(1..)) = timeout(patience, reader.read_buf(&mut answer)).await
        {}
    };
    // A server may answer and close before it has read all of a request it refuses.
    let (_, ()) = tokio::join!(writer.write_all(octets), read);
    answer
}

/// Sends each request once the one before has its answer, on one connection.
async fn in_turn(addr: SocketAddr, requests: impl Iterator<Item = Vec<u8>>) -> Vec<Answer> {
    let mut stream = TcpStream::connect(addr).await.expect("the cache listens");
    let (mut octets, mut all) = (Vec::new(), Vec::new());
    for request in requests {
        stream.write_all(&request).await.expect("the cache reads");
        loop {
            if let Some((answer, end)) = Answer::read(&octets, request.starts_with(b"HEAD "), false)
            {
                octets.drain(..end);
                all.push(answer);
                break;
            }
            match soon("an answer", stream.read_buf(&mut octets)).await {
                Ok(1..) => {}
                ended => panic!("{ended:?} after {} answers and {octets:?}", all.len()),
            }
        }
    }
    all
}
