//! Bodies through a cold gateway: when the first byte comes, and what a large one costs.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use end_to_end::{
    client::{Client, request},
    process::Program,
    wait::{soon, until},
};
use http::Method;
use http_body_util::BodyExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
    time::{Instant, timeout},
};

const GIB: u64 = 1 << 30;

/// An upstream that hands each connection to a function once it has read a request's head.
async fn upstream<A>(
    answer: impl Fn(TcpStream) -> A + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>)
where
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let (answer, counter) = (Arc::new(answer), asked.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, counter) = (answer.clone(), counter.clone());
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                counter.fetch_add(1, Ordering::SeqCst);
                answer(stream).await;
            });
        }
    });
    (address, asked)
}

fn head(length: u64) -> String {
    format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: {length}\r\n\r\n")
}

async fn gateway(upstream: SocketAddr) -> Program {
    let upstream = format!("http://{upstream}");
    let args = ["--listen", "127.0.0.1:0", "--upstream", &upstream];
    Program::start("hyper-gateway", &args, 1).await
}

/// Kilobytes that a process holds in memory.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_streams_through_and_memory_stays_flat() {
    let (address, asked) = upstream(|mut stream| async move {
        let piece = vec![b'x'; 1 << 18];
        stream.write_all(head(GIB).as_bytes()).await.unwrap();
        for _ in 0..GIB >> 18 {
            if stream.write_all(&piece).await.is_err() {
                return;
            }
        }
    })
    .await;
    let gateway = gateway(address).await;
    let before = resident(gateway.id());
    let get = request(Method::GET, &gateway.url("/large"));
    let mut response = Client::http1().send(get).await.unwrap();
    let (mut length, mut most) = (0, before);
    let expected = vec![b'x'; 1 << 20];
    while let Some(frame) = soon("a frame", response.frame()).await {
        let data = frame.unwrap().into_data().unwrap();
        assert!(data[..] == expected[..data.len()], "other octets");
        if length >> 24 != (length + data.len() as u64) >> 24 {
            most = most.max(resident(gateway.id()));
        }
        length += data.len() as u64;
    }
    println!("1 GiB: resident {before} KiB before, {most} KiB at the most");
    assert_eq!(length, GIB);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(most < before + 16 * 1024, "{before} KiB grew to {most} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_byte_passes_at_once() {
    let sent = Arc::new(std::sync::Mutex::new(None));
    let more = Arc::new(Notify::new());
    let (noted, wait) = (sent.clone(), more.clone());
    let (address, _) = upstream(move |mut stream| {
        let (noted, wait) = (noted.clone(), wait.clone());
        async move {
            stream.write_all(head(GIB).as_bytes()).await.unwrap();
            *noted.lock().unwrap() = Some(Instant::now());
            stream.write_all(b"x").await.unwrap();
            wait.notified().await;
        }
    })
    .await;
    let gateway = gateway(address).await;
    let client = Client::http1();
    let mut delays = Vec::new();
    for round in 0..11 {
        let get = request(Method::GET, &gateway.url(&format!("/{round}")));
        let mut response = client.send(get).await.unwrap();
        soon("the first byte", response.frame())
            .await
            .unwrap()
            .unwrap();
        let sent = sent.lock().unwrap().take().unwrap();
        delays.push(sent.elapsed());
        more.notify_waiters();
    }
    delays.sort();
    println!("first byte: {:?} later in the median", delays[5]);
    assert!(delays[5] < Duration::from_millis(20), "{delays:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_followers_join_midway_and_read_the_same() {
    const LENGTH: usize = 512 << 10;
    let body: Arc<[u8]> = (0..LENGTH).map(|n| ((n * 31) >> 7) as u8).collect();
    let (second_half, sent) = (Arc::new(Notify::new()), body.clone());
    let go_on = second_half.clone();
    let (address, asked) = upstream(move |mut stream| {
        let (body, go_on) = (sent.clone(), go_on.clone());
        async move {
            stream
                .write_all(head(LENGTH as u64).as_bytes())
                .await
                .unwrap();
            stream.write_all(&body[..LENGTH / 2]).await.unwrap();
            go_on.notified().await;
            stream.write_all(&body[LENGTH / 2..]).await.unwrap();
        }
    })
    .await;
    let gateway = gateway(address).await;
    let (client, url) = (Client::http1(), gateway.url("/half"));
    let (begun, mut readers) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..=200 {
        let (client, url, begun) = (client.clone(), url.clone(), begun.clone());
        readers.spawn(async move {
            let mut response = client.send(request(Method::GET, &url)).await.unwrap();
            let mut read = Vec::new();
            while let Some(frame) = soon("a frame", response.frame()).await {
                if read.is_empty() {
                    begun.fetch_add(1, Ordering::SeqCst);
                }
                read.extend_from_slice(&frame.unwrap().into_data().unwrap());
            }
            read
        });
    }
    until("all read the first half", async || {
        begun.load(Ordering::SeqCst) == 201
    })
    .await;
    second_half.notify_one();
    while let Some(read) = timeout(Duration::from_secs(20), readers.join_next())
        .await
        .unwrap()
    {
        assert!(*read.unwrap() == *body, "another body");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
