//! Waiting for what a server does in its own time, such as noticing that a client has gone.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);

/// What `future` comes to.
///
/// # Panics
///
/// When it takes longer than 20 s; `what` says what was waited for.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Asks again and again until `holds` does.
///
/// # Panics
///
/// As [`soon`].
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !holds().await {
            sleep(Duration::from_millis(1)).await;
        }
    };
    soon(what, asked).await;
}
