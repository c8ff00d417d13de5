//! Waiting for something to become true, with an end and a name.

use std::future::Future;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// A port that was free a moment ago.
///
/// # Panics
/// If there is none.
#[must_use]
#[expect(clippy::expect_used, reason = "a test cannot go on without a port")]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// If there is none within `limit`; says what was waited for.
pub async fn wait_for<T, Fut>(what: &str, limit: Duration, mut ask: impl FnMut() -> Fut) -> T
where
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
