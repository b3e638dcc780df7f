//! Whatever happens in whatever order: never more than the limits, each line in order, nobody
//! forgotten, and in the end nothing left.

use super::{Body, in_flight, streaming};
use crate::support::request;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::channel::Sender;
use proptest::prelude::*;
use ratelimit_layer::{ConcurrencyHandle, ConcurrencyLimitLayer, ResponseBody};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tower::util::BoxCloneService;
use tower::{Layer, Service, service_fn};

/// What may happen next; numbers choose a request, oldest first, or a value.
#[derive(Debug, Clone, Copy)]
enum Step {
    Call(u8),
    Poll(usize),
    PollAll,
    Answer(usize),
    Fail(usize),
    Frame(usize),
    End(usize),
    Drop(usize),
    Advance(u64),
    Limit(usize),
    Total(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = 0..12_usize;
    let step = prop_oneof![
        8 => (0..3_u8).prop_map(Step::Call),
        4 => one.clone().prop_map(Step::Poll),
        4 => Just(Step::PollAll),
        2 => one.clone().prop_map(Step::Answer),
        1 => one.clone().prop_map(Step::Fail),
        2 => one.clone().prop_map(Step::Frame),
        2 => one.clone().prop_map(Step::End),
        3 => one.prop_map(Step::Drop),
        2 => (1..8_u64).prop_map(Step::Advance),
        1 => (1..4_usize).prop_map(Step::Limit),
        1 => (1..6_usize).prop_map(Step::Total),
    ];
    prop::collection::vec(step, 1..60)
}

type Answer = oneshot::Sender<Result<Response<Body>, &'static str>>;
type Answering = dyn Future<Output = Result<Response<ResponseBody<Body>>, &'static str>>;

/// A request somewhere between call and end.
struct Live {
    id: u64,
    client: u8,
    at: At,
    /// Set once it has reached the service.
    answer: Option<Answer>,
    sender: Option<Sender<Bytes, &'static str>>,
}

enum At {
    /// In line, or refused without having been told.
    Door(Pin<Box<Answering>>),
    Service(Pin<Box<Answering>>),
    Body(Pin<Box<ResponseBody<Body>>>),
}

impl Live {
    /// Polls it; `false` when it is over.
    fn poll(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        match &mut self.at {
            At::Door(future) | At::Service(future) => match future.as_mut().poll(&mut cx) {
                Poll::Ready(Ok(response)) => {
                    let over = response.body().is_end_stream() || !response.status().is_success();
                    self.at = At::Body(Box::pin(response.into_body()));
                    !over
                }
                Poll::Ready(Err(_)) => false,
                Poll::Pending => true,
            },
            At::Body(body) => !matches!(
                body.as_mut().poll_frame(&mut cx),
                Poll::Ready(None | Some(Err(_)))
            ),
        }
    }
}

struct World {
    runtime: Runtime,
    service: Box<dyn FnMut(Request<()>) -> Pin<Box<Answering>>>,
    handle: ConcurrencyHandle,
    reached: mpsc::UnboundedReceiver<(u64, Answer)>,
    live: Vec<Live>,
    calls: u64,
}

impl World {
    fn new(idle: Option<Duration>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (requests, reached) = mpsc::unbounded_channel();
        let inner = service_fn(move |request: Request<()>| {
            let (answer, answered) = oneshot::channel();
            requests
                .send((*request.extensions().get::<u64>().unwrap(), answer))
                .unwrap();
            async move { answered.await.unwrap_or(Err("dropped")) }
        });
        let layer = ConcurrencyLimitLayer::new(2)
            .max_total(4)
            .wait(3, Duration::from_millis(10))
            .max_waiting_total(6);
        let layer = match idle {
            Some(idle) => layer.max_idle(idle),
            None => layer,
        };
        let handle = layer.handle();
        let mut service = layer.layer(BoxCloneService::new(inner));
        Self {
            runtime,
            service: Box::new(move |request| Box::pin(service.call(request))),
            handle,
            reached,
            live: Vec::new(),
            calls: 0,
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Call(client) => {
                self.calls += 1;
                let mut request = request(client);
                request.extensions_mut().insert(self.calls);
                let future = (self.service)(request);
                self.live.push(Live {
                    id: self.calls,
                    client,
                    at: At::Door(future),
                    answer: None,
                    sender: None,
                });
            }
            Step::Poll(index) => {
                if self.live.get_mut(index).is_some_and(|live| !live.poll()) {
                    self.live.remove(index);
                }
            }
            // The youngest first: who is let in is not up to who asks first.
            Step::PollAll => {
                for doors in [false, true] {
                    for index in (0..self.live.len()).rev() {
                        // Once more for those whose place came free meanwhile.
                        if !doors || matches!(self.live[index].at, At::Door(_)) {
                            self.run(Step::Poll(index));
                        }
                    }
                }
            }
            Step::Answer(index) => {
                if let Some(live) = self.live.get_mut(index)
                    && let Some(answer) = live.answer.take()
                {
                    let (sender, response) = streaming();
                    live.sender = Some(sender);
                    let _ = answer.send(Ok(response));
                }
            }
            Step::Fail(index) => {
                if let Some(live) = self.live.get_mut(index) {
                    if let Some(answer) = live.answer.take() {
                        let _ = answer.send(Err("broken"));
                    }
                    if let Some(sender) = live.sender.take() {
                        sender.abort("broken");
                    }
                }
            }
            Step::Frame(index) => {
                if let Some(sender) = self
                    .live
                    .get_mut(index)
                    .and_then(|live| live.sender.as_mut())
                {
                    let _ = sender.try_send(Frame::data(Bytes::from("frame")));
                }
            }
            Step::End(index) => {
                if let Some(live) = self.live.get_mut(index) {
                    live.sender = None;
                }
            }
            Step::Drop(index) if index < self.live.len() => drop(self.live.remove(index)),
            Step::Drop(_) => {}
            Step::Advance(millis) => self
                .runtime
                .block_on(tokio::time::advance(Duration::from_millis(millis))),
            Step::Limit(limit) => self.handle.set_limit(limit),
            Step::Total(total) => self.handle.set_max_total(total),
        }
        while let Ok((id, answer)) = self.reached.try_recv() {
            if let Some(live) = self.live.iter_mut().find(|live| live.id == id) {
                live.answer = Some(answer);
                let door = At::Body(Box::pin(ResponseBody::default()));
                live.at = match std::mem::replace(&mut live.at, door) {
                    At::Door(future) | At::Service(future) => At::Service(future),
                    body => body,
                };
            }
        }
    }

    fn inside(&self, client: u8) -> usize {
        let inside = |live: &&Live| live.client == client && !matches!(live.at, At::Door(_));
        self.live.iter().filter(inside).count()
    }

    /// Everybody was asked: who is still at the door waits, and for a reason.
    fn settled(&self) {
        let stats = self.handle.stats();
        let waits = |live: &&Live| matches!(live.at, At::Door(_));
        assert_eq!(stats.waiting, self.live.iter().filter(waits).count() as u64);
        assert_eq!(
            stats.in_flight,
            self.live.iter().filter(|live| !waits(live)).count() as u64
        );
        for waiter in self.live.iter().filter(waits) {
            assert!(
                Some(stats.in_flight) >= stats.max_total
                    || self.inside(waiter.client) as u64 >= stats.limit,
                "request {} waits for nothing: {stats:?}",
                waiter.id
            );
            let overtaken =
                |live: &Live| !waits(&live) && live.client == waiter.client && live.id > waiter.id;
            assert!(
                !self.live.iter().any(overtaken),
                "request {} was overtaken",
                waiter.id
            );
        }
    }
}

/// Runs a schedule; with an idle limit, bodies lend their places, so what is inside is not exact.
fn schedule(steps: Vec<Step>, idle: Option<Duration>) {
    let mut world = World::new(idle);
    let handle = world.handle.clone();
    let runtime = world.runtime.handle().clone();
    let _entered = runtime.enter();
    let mut before = handle.stats();
    for step in steps {
        world.run(step);
        let now = handle.stats();
        // Above a limit only if it was lowered, and then nobody else came in.
        let most = before.in_flight.max(now.max_total.unwrap());
        assert!(
            now.in_flight <= most && now.in_flight <= now.clients * 3,
            "{step:?}: {now:?}"
        );
        assert!(now.clients <= now.in_flight + now.waiting);
        if idle.is_none() {
            assert!(now.waiting <= 6, "{step:?}: {now:?}");
            if matches!(step, Step::PollAll) {
                world.settled();
            }
        }
        before = now;
    }
    drop(std::mem::take(&mut world.live));
    let stats = handle.stats();
    assert_eq!((in_flight(&handle), stats.waiting), ((0, 0), 0));
    assert_eq!(stats.max_total.map(|total| total > 0), Some(true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn all_permits_come_back(steps in steps()) {
        schedule(steps, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn all_lent_places_come_back(steps in steps()) {
        schedule(steps, Some(Duration::from_millis(3)));
    }
}
