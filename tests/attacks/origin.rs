//! The hostile upstream: makes sense of whatever it is sent, echoes it, and says what its row wants.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    attack::{Answers, Attack, Sends, answer},
    message::{find, plain, request_end, text},
};

/// How long an answer is held back for those who ask at once; they wait at the gateway, unseen.
const HELD: Duration = Duration::from_millis(100);

/// A running upstream; dropping it closes its listener.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// A request that has come whole.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which row's; none if it names none.
    row: Option<usize>,
    /// Its target, if there are no two ways to read it.
    pub(crate) plain: Result<String, String>,
}

/// The host of a row's own, as long as `{host}`.
pub(crate) fn host(row: usize) -> String {
    format!("r{row:05}")
}

/// With the row's host in its place.
pub(crate) fn fill_in(octets: &[u8], row: usize) -> Vec<u8> {
    let mut filled = octets.to_vec();
    while let Some(at) = find(&filled, b"{host}") {
        filled.splice(at..at + 6, host(row).into_bytes());
    }
    filled
}

impl Origin {
    pub(crate) async fn start(rows: &'static [Attack]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("loopback accepts");
                tokio::spawn(serve(stream, rows, all.clone()));
            }
        });
        Self { addr, seen, task }
    }

    /// The row's requests so far, and those that name no row.
    pub(crate) fn seen(&self, row: usize) -> Vec<Seen> {
        let all = self.seen.lock().unwrap();
        let concerns = |seen: &&Seen| seen.row.is_none_or(|number| number == row);
        all.iter().filter(concerns).cloned().collect()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, rows: &'static [Attack], all: Arc<Mutex<Vec<Seen>>>) {
    let mut octets = Vec::new();
    loop {
        let Some(end) = request_end(&octets, false) else {
            match stream.read_buf(&mut octets).await {
                Ok(1..) => continue,
                _ => return,
            }
        };
        let request: Vec<u8> = octets.drain(..end).collect();
        let row = row_of(&request).filter(|row| *row < rows.len());
        let before = count(&all, row);
        let plain = plain(&request);
        all.lock().unwrap().push(Seen { row, plain });
        let answer = match row {
            Some(number) => answer_to(&rows[number], number, &request, before),
            None => answer("400 Bad Request", "", "no row"),
        };
        if let Some(Sends::AtOnce(most, _)) = row.map(|row| rows[row].then)
            && before == 0
        {
            let others = async {
                while count(&all, row) < most {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            let _ = timeout(HELD, others).await;
        }
        let head = answer.split("\r\n\r\n").next().unwrap_or_default();
        let closes = head.contains("connection: close");
        if stream.write_all(answer.as_bytes()).await.is_err() || closes {
            return;
        }
    }
}

fn count(all: &Mutex<Vec<Seen>>, row: Option<usize>) -> usize {
    let all = all.lock().unwrap();
    all.iter().filter(|seen| seen.row == row).count()
}

fn answer_to(row: &Attack, number: usize, request: &[u8], before: usize) -> String {
    let request = text(request);
    match row.origin {
        Answers::Echo(lines) => {
            let target = request
                .split(' ')
                .nth(1)
                .unwrap_or_default()
                .escape_default();
            answer("200 OK", &format!("x-saw: {target}\r\n{lines}"), &request)
        }
        Answers::Exact(list) => text(&fill_in(
            list[before.min(list.len() - 1)].as_bytes(),
            number,
        )),
        Answers::By(answer) => answer(&request, before),
    }
}

/// The first word in it that is a row's host.
pub(crate) fn row_of(request: &[u8]) -> Option<usize> {
    let request = text(request).to_ascii_lowercase();
    request.match_indices('r').find_map(|(at, _)| {
        let digits = request.get(at + 1..at + 6)?;
        let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| digits.parse().ok())?
    })
}
