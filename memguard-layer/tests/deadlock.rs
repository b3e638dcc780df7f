//! Ten thousand random schedules in which half-read bodies wait for room that only others like them can give back: none of
//! them comes to a stop, and the heap, here that of the bodies themselves, never exceeds the budget.

mod support;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use memguard_layer::{MemGuardHandle, MemGuardLayer, Policy, RequestBody};
use support::{BoxError, Knob, guard, random::Random};
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, Sleep, sleep, timeout},
};
use tower::{Layer, ServiceExt, service_fn};

const KIB: u64 = 1024;
const BUDGET: u64 = 1024 * KIB;

/// Bytes that the heap counts as long as they are there.
struct Block {
    bytes: Vec<u8>,
    heap: Knob,
}

impl Block {
    fn new(length: u64, heap: &Knob) -> Self {
        heap.set(heap.get() + length);
        assert!(heap.get() <= BUDGET, "{} of {BUDGET} bytes", heap.get());
        Self {
            bytes: vec![0; length as usize],
            heap: heap.clone(),
        }
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.heap.set(self.heap.get() - self.bytes.len() as u64);
    }
}

/// A body that a client sends as fast as it is read, with pauses: a frame is in the heap once it is asked for.
struct Sending {
    left: u64,
    declared: bool,
    random: Random,
    pause: Pin<Box<Sleep>>,
    heap: Knob,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        ready!(self.pause.as_mut().poll(cx));
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let pause = Duration::from_micros(self.random.below(3000));
        self.pause.as_mut().reset(Instant::now() + pause);
        let length = self.left.min(1 + self.random.below(64 * KIB));
        self.left -= length;
        let block = Block::new(length, &self.heap);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(block)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        match self.declared {
            true => SizeHint::with_exact(self.left),
            false => SizeHint::new(),
        }
    }
}

/// Takes all of the body and joins it, works for a while, and gives all back; or drops each frame when the next has come.
async fn handle(
    request: Request<RequestBody<Sending>>,
    heap: Knob,
    mut random: Random,
) -> Response<Full<Bytes>> {
    let streams = random.below(4) == 0;
    let mut body = request.into_body();
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Response::builder()
                .status(400)
                .body(Full::default())
                .unwrap();
        };
        if streams {
            frames.clear();
        }
        frames.push(frame.into_data().unwrap());
    }
    let joined = Block::new(frames.iter().map(|frame| frame.len() as u64).sum(), &heap);
    drop(frames);
    sleep(Duration::from_micros(random.below(2000))).await;
    drop(joined);
    Response::new(Full::default())
}

struct Schedule {
    layer: MemGuardLayer,
    heap: Knob,
    random: Random,
    /// Whether some clients go away midway.
    cancels: bool,
}

/// What became of the requests: answered with 200, refused, cancelled.
#[derive(Debug, Default)]
struct Outcome {
    served: u64,
    refused: u64,
    cancelled: u64,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let (layer, heap) = guard(BUDGET);
        // Whoever waited for all of it would be seen by the clock.
        let policy = Policy::Delay {
            wait: Duration::from_secs(3600),
            max_waiting: 1000,
        };
        let mut random = Random::new(seed);
        let cancels = random.below(2) == 0;
        Self {
            layer: layer.policy(policy),
            heap,
            random,
            cancels,
        }
    }

    /// One request, with all that will happen to it.
    fn request(&mut self) -> impl Future<Output = Option<StatusCode>> + Send + 'static {
        let random = &mut self.random;
        let mut fork = || Random::new(random.below(u64::MAX));
        let (handler, mut ours, body) = (fork(), fork(), fork());
        let heap = self.heap.clone();
        let service = self.layer.layer(service_fn(move |request| {
            let future = handle(request, heap.clone(), handler.clone());
            async { Ok::<_, Infallible>(future.await) }
        }));
        let heap = self.heap.clone();
        let cancels = self.cancels;
        async move {
            sleep(Duration::from_micros(ours.below(20_000))).await;
            let body = Sending {
                left: 1 + ours.below(450 * KIB),
                declared: ours.below(3) == 0,
                random: body,
                pause: Box::pin(sleep(Duration::ZERO)),
                heap,
            };
            let patience = match cancels && ours.below(4) == 0 {
                true => Duration::from_micros(ours.below(50_000)),
                false => Duration::MAX,
            };
            let response = timeout(patience, service.oneshot(Request::new(body)))
                .await
                .ok()?;
            Some(response.unwrap().status())
        }
    }

    async fn run(mut self) -> Outcome {
        let start = Instant::now();
        let handle: Arc<MemGuardHandle> = Arc::new(self.layer.handle());
        let mut requests = JoinSet::new();
        for _ in 0..2 + self.random.below(12) {
            requests.spawn(self.request());
        }
        let mut outcome = Outcome::default();
        while let Some(status) = requests.join_next().await {
            match status.unwrap() {
                Some(StatusCode::OK) => outcome.served += 1,
                Some(StatusCode::SERVICE_UNAVAILABLE) => outcome.refused += 1,
                None => outcome.cancelled += 1,
                Some(other) => panic!("{other}: every body fits if it is alone"),
            }
        }
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "it came to a stop: {:?}",
            start.elapsed()
        );
        let stats = handle.stats();
        assert_eq!(
            (stats.reserved, stats.waiting, stats.waiting_bodies),
            (0, 0, 0)
        );
        assert_eq!((self.heap.get(), stats.rejected), (0, outcome.refused));
        assert!(
            outcome.served > 0 || self.cancels,
            "one at least gets through"
        );
        outcome
    }
}

#[test]
fn no_schedule_comes_to_a_stop() {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut total = Outcome::default();
    for seed in 0..10_000 {
        let outcome = runtime.block_on(async {
            tokio::spawn(Schedule::new(seed).run())
                .await
                .unwrap_or_else(|_| panic!("seed {seed}"))
        });
        total.served += outcome.served;
        total.refused += outcome.refused;
        total.cancelled += outcome.cancelled;
    }
    println!("{total:?}");
    assert!(
        total.refused > 1000,
        "some had to end for others: {total:?}"
    );
    assert!(total.served > 5 * total.refused, "but few: {total:?}");
}
