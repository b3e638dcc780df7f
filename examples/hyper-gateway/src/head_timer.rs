//! A timer for what is seldom late: hyper sets one for each request's head and takes it back once the
//! head is there, nearly always within the same poll.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use tokio::time::{self, sleep_until};

/// What a connection's deadlines share: one timer of tokio's, which outlives them. It rings no later
/// than the deadline that is waited for; when it rings for one that is gone, it is set anew. So a
/// request costs no work on the timer wheel, and a connection one vain call now and then.
#[derive(Debug, Default)]
pub(crate) struct HeadTimer(Arc<Mutex<Option<Alarm>>>);

#[expect(
    clippy::disallowed_types,
    reason = "the trait's; each is one of tokio's clock"
)]
impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        let alarm = Arc::clone(&self.0);
        let deadline = deadline.into();
        Box::pin(Deadline { deadline, alarm })
    }

    fn now(&self) -> std::time::Instant {
        time::Instant::now().into()
    }
}

#[derive(Debug)]
struct Alarm {
    sleep: Pin<Box<time::Sleep>>,
    /// Who is woken.
    waker: Waker,
}

impl Alarm {
    fn poll_until(&mut self, deadline: time::Instant, context: &mut Context<'_>) -> Poll<()> {
        if self.sleep.deadline() > deadline {
            self.sleep.as_mut().reset(deadline);
        } else if !self.sleep.is_elapsed() && self.waker.will_wake(context.waker()) {
            // It is set, and for whom is known: nearly always.
            return Poll::Pending;
        }
        self.waker.clone_from(context.waker());
        loop {
            ready!(self.sleep.as_mut().poll(context));
            if self.sleep.deadline() == deadline {
                return Poll::Ready(());
            }
            // It rang for one that is gone.
            self.sleep.as_mut().reset(deadline);
        }
    }
}

#[derive(Debug)]
struct Deadline {
    deadline: time::Instant,
    alarm: Arc<Mutex<Option<Alarm>>>,
}

impl Future for Deadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        let alarm = alarm.get_or_insert_with(|| Alarm {
            sleep: Box::pin(sleep_until(self.deadline)),
            // Of nobody yet.
            waker: Waker::noop().clone(),
        });
        alarm.poll_until(self.deadline, context)
    }
}

impl Sleep for Deadline {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::rt::Timer;
    use tokio::time::{Instant, advance, timeout};

    use super::HeadTimer;

    const SECOND: Duration = Duration::from_secs(1);

    async fn is_over(sleep: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        timeout(Duration::ZERO, sleep).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn each_deadline_ends_at_its_own_time() {
        let timer = HeadTimer::default();
        let start = Instant::now();
        // The first is taken back early, and its alarm rings for nobody.
        let mut first = timer.sleep(10 * SECOND);
        assert!(!is_over(&mut first).await);
        advance(4 * SECOND).await;
        drop(first);
        timer.sleep(10 * SECOND).await;
        assert_eq!(start.elapsed(), 14 * SECOND);

        // A shorter one after a longer one, and one whose time is over.
        let mut long = timer.sleep(60 * SECOND);
        assert!(!is_over(&mut long).await);
        timer.sleep(SECOND).await;
        assert_eq!(start.elapsed(), 15 * SECOND);
        timer.sleep_until((start + SECOND).into()).await;
        assert_eq!(start.elapsed(), 15 * SECOND);
        long.await;
        assert_eq!(start.elapsed(), 74 * SECOND);
    }
}
