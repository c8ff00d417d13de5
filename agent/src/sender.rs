//! Empties the spool into its destinations, oldest first, by Prometheus remote write 1.0. Each destination, the server
//! and the others, has a task and a place in the spool of its own, so that none waits for another.
//!
//! Invariants: samples leave the spool only when the destination has taken them, or has said for good that it will not;
//! then only the one collection that it objects to is given up. Everything else is tried again. What has waited goes at
//! a bounded rate, so that agents that come back at once do not hurt the server.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use siaga_protocol::paths;
use tokio::task::JoinSet;

use crate::api::{Api, ApiError, Verdict};
use crate::backoff;
use crate::context::{Context, Running};
use crate::spool::{Position, SERVER};
use crate::write_request;

/// Collections in one request.
const MAX_COLLECTIONS: usize = 500;
/// While the server does not answer, each of this many failures is logged again; so are collections that it refuses.
const LOG_EVERY: u64 = 20;

const HEADERS: [(&str, &str); 3] = [
    ("content-encoding", "snappy"),
    ("content-type", "application/x-protobuf"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];

struct Encoded {
    body: Vec<u8>,
    collections: usize,
    samples: usize,
    end: Position,
}

/// Sends to the server and to all other destinations until it is stopped.
pub async fn run(context: Context) {
    let mut watched = context.running.clone();
    loop {
        let mut others = JoinSet::new();
        let targets = watched.borrow_and_update().config.targets.clone();
        for target in targets.iter() {
            others.spawn(Sender::new(&context, target.name.clone()).run());
        }
        let server = Sender::new(&context, SERVER.to_owned()).run();
        let changed = async {
            while watched.changed().await.is_ok() {
                if watched.borrow_and_update().config.targets != targets {
                    return;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = server => return,
            () = changed => others.shutdown().await,
        }
    }
}

struct Sender {
    context: Context,
    destination: String,
    failures: u64,
    rejected: u64,
    max_collections: usize,
}

impl Sender {
    fn new(context: &Context, destination: String) -> Self {
        let context = context.clone();
        Self { context, destination, failures: 0, rejected: 0, max_collections: MAX_COLLECTIONS }
    }

    async fn run(mut self) {
        let mut collected = self.context.collected.subscribe();
        loop {
            collected.mark_unchanged();
            let Some(batch) = self.next_batch() else {
                // It fails only at the end, when nobody collects any more.
                if collected.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let pause = self.send(batch).await;
            if !pause.is_zero() {
                self.wait(pause).await;
            }
        }
    }

    /// Sends a batch, and says how long to wait before the next one.
    async fn send(&mut self, batch: Encoded) -> Duration {
        let running = self.context.now();
        let Encoded { body, collections, samples, end } = batch;
        let Err(error) = self.post(&running, body).await else {
            if self.failures > 0 {
                let after_failures = self.failures;
                tracing::info!(destination = self.name(), after_failures, "samples are taken again");
            }
            self.failures = 0;
            // After a rejection, back to whole batches in steps.
            self.max_collections = (self.max_collections * 2).min(MAX_COLLECTIONS);
            self.acknowledge(end);
            self.send_metadata(&running).await;
            // One collection alone is live: it never waits.
            let rate = running.config.send.max_samples_per_second.get();
            return if collections > 1 { pace(samples, rate, rand::random()) } else { Duration::ZERO };
        };
        self.context.counters.send_failures.add(1);
        if error.verdict() == Verdict::Rejected {
            if collections > 1 {
                self.max_collections = collections / 2;
            } else {
                self.give_up(&error, samples, end);
            }
            return Duration::ZERO;
        }
        self.failures += 1;
        let longest = running.config.send.max_backoff_seconds.seconds();
        let failures = u32::try_from(self.failures).unwrap_or(u32::MAX);
        let pause = backoff::pause(failures, longest, error.retry_after(), rand::random());
        if self.failures == 1 || self.failures.is_multiple_of(LOG_EVERY) {
            self.log_failure(&error, pause);
        }
        pause
    }

    async fn post(&self, running: &Running, body: Vec<u8>) -> Result<(), ApiError> {
        match self.api(running) {
            Some((api, path)) => api.send_body("send samples", path, &HEADERS, body).await,
            // It has just been taken out of the configuration; this task is about to end.
            None => std::future::pending().await,
        }
    }

    fn api<'a>(&self, running: &'a Running) -> Option<(&'a Api, &'static str)> {
        if self.destination == SERVER {
            return Some((&running.api, paths::REMOTE_WRITE));
        }
        let target = running.targets.iter().find(|(name, _)| *name == self.destination);
        target.map(|(_, api)| (api, ""))
    }

    /// Types and help go to the server alone, after samples have arrived. What does not arrive is not tried again: the
    /// next report comes by itself.
    async fn send_metadata(&self, running: &Running) {
        if self.destination != SERVER {
            return;
        }
        let body = self.context.metadata.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(body) = body else { return };
        if let Err(error) = self.post(running, body).await {
            tracing::debug!(error = crate::error_chain(&error), "the server did not take types and help");
        }
    }

    fn give_up(&mut self, error: &ApiError, samples: usize, end: Position) {
        self.context.counters.rejected_samples.add(samples as u64);
        if self.rejected.is_multiple_of(LOG_EVERY) {
            let (error, destination) = (crate::error_chain(error), self.name());
            tracing::error!(destination, error, samples, "a collection is refused, it is given up");
        }
        self.rejected += 1;
        self.acknowledge(end);
    }

    fn log_failure(&self, error: &ApiError, pause: Duration) {
        let (destination, failures, retry_seconds) = (self.name(), self.failures, pause.as_secs_f64());
        let text = crate::error_chain(error);
        match error.verdict() {
            Verdict::Unauthorised => tracing::error!(
                destination,
                error = text,
                failures,
                retry_seconds,
                "the token of this agent is not accepted: enrol again; samples are kept"
            ),
            _ => tracing::warn!(
                destination,
                error = text,
                failures,
                retry_seconds,
                "samples could not be sent, they are kept"
            ),
        }
    }

    /// The destination, for the log.
    fn name(&self) -> &str {
        if self.destination == SERVER { "server" } else { &self.destination }
    }

    /// A pause that a new configuration ends: the address may have been the fault.
    async fn wait(&self, pause: Duration) {
        let mut running = self.context.running.clone();
        running.mark_unchanged();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = running.changed() => {}
        }
    }

    fn next_batch(&self) -> Option<Encoded> {
        let max_samples = self.context.now().config.send.max_samples_per_request.get();
        let max_samples = usize::try_from(max_samples).unwrap_or(usize::MAX);
        let mut spool = self.context.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = spool.next_batch(&self.destination, max_samples, self.max_collections)?;
        let (collections, samples, end) = (batch.collections, batch.rows.len(), batch.end);
        match write_request::encode(&batch, &self.context.credentials.instance) {
            Ok(body) => Some(Encoded { body, collections, samples, end }),
            Err(error) => {
                // Cannot happen below 4 GiB; given up, so that the queue does not stop for it.
                tracing::error!(
                    error = crate::error_chain(&error),
                    "a batch cannot be packed, it is given up"
                );
                spool.acknowledge(&self.destination, end);
                None
            }
        }
    }

    fn acknowledge(&self, end: Position) {
        let spool = Arc::clone(&self.context.spool);
        spool.lock().unwrap_or_else(PoisonError::into_inner).acknowledge(&self.destination, end);
    }
}

/// Pause after a batch that had waited, so that the rate stays below `samples_per_second` on the average. `random` is
/// in `0..1`: between half of it and one and a half, so that agents that came back at once do not stay in step.
fn pace(samples: usize, samples_per_second: u64, random: f64) -> Duration {
    let samples = u32::try_from(samples).unwrap_or(u32::MAX);
    let rate = u32::try_from(samples_per_second).unwrap_or(u32::MAX).max(1);
    Duration::from_secs(u64::from(samples)).div_f64(f64::from(rate)).mul_f64(0.5 + random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_waited_goes_at_a_bounded_rate() {
        for (samples, rate, random, ms) in [
            (10_000, 50_000, 0.5, 200),
            (10_000, 50_000, 0.0, 100),
            (10_000, 1_000, 1.0, 15_000),
            (0, 100, 0.5, 0),
        ] {
            assert_eq!(pace(samples, rate, random), Duration::from_millis(ms), "{samples} {rate}");
        }
    }
}
