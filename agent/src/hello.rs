//! Tells the server what this agent is and which actions it offers: at start, and when the configuration changes.

use std::time::Duration;

use reqwest::Method;
use siaga_protocol::agent_api::Hello;
use siaga_protocol::paths;

use crate::backoff;
use crate::context::{Context, Running};

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

fn hello(running: &Running, started_at_ms: i64) -> Hello {
    Hello {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        interval_seconds: u32::try_from(running.config.collect.interval_seconds.get()).unwrap_or(u32::MAX),
        started_at_ms,
        // Where orders are switched off, nothing is on offer.
        actions: if running.config.orders.enabled { running.config.actions.offers() } else { Vec::new() },
    }
}

/// Says hello until the server has heard it, and again after each change.
pub async fn run(context: Context) {
    let mut watched = context.running.clone();
    let mut failures = 0;
    loop {
        let running = std::sync::Arc::clone(&watched.borrow_and_update());
        let body = hello(&running, context.started_at_ms);
        let sent = running.api.send_json("say hello", Method::PUT, paths::HELLO, &body).await;
        let pause = match sent {
            Ok(()) => {
                failures = 0;
                None
            }
            Err(error) => {
                failures += 1;
                if failures == 1 {
                    tracing::warn!(error = crate::error_chain(&error), "the server has not heard hello");
                }
                Some(backoff::pause(failures, LONGEST_PAUSE, error.retry_after(), rand::random()))
            }
        };
        let changed = match pause {
            Some(pause) => tokio::time::timeout(pause, watched.changed()).await.unwrap_or(Ok(())),
            None => watched.changed().await,
        };
        if changed.is_err() {
            return;
        }
    }
}
