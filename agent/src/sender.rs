//! Empties the spool into the server, oldest first, by Prometheus remote write 1.0.
//!
//! Invariants: samples leave the spool only when the server has taken them, or has said for good that it will not;
//! then only the one collection that it objects to is given up. Everything else is tried again.

use std::sync::PoisonError;
use std::time::Duration;

use siaga_protocol::paths;

use crate::api::Verdict;
use crate::backoff;
use crate::context::Context;
use crate::spool::Position;
use crate::write_request;

/// Collections in one request.
const MAX_COLLECTIONS: usize = 500;
/// While the server does not answer, each of this many failures is logged again.
const LOG_EVERY: u32 = 20;

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

/// Sends until it is stopped.
pub async fn run(context: Context) {
    let mut failures = 0;
    let mut max_collections = MAX_COLLECTIONS;
    loop {
        let Some(batch) = next_batch(&context, max_collections) else {
            context.collected.notified().await;
            continue;
        };
        let running = context.now();
        let sent = running.api.send_body("send samples", paths::REMOTE_WRITE, &HEADERS, batch.body).await;
        let Err(error) = sent else {
            if failures > 0 {
                tracing::info!(after_failures = failures, "the server takes samples again");
            }
            failures = 0;
            // After a rejection, back to whole batches in steps.
            max_collections = (max_collections * 2).min(MAX_COLLECTIONS);
            acknowledge(&context, batch.end);
            continue;
        };
        context.counters.send_failures.add(1);
        if error.verdict() == Verdict::Rejected {
            if batch.collections > 1 {
                max_collections = batch.collections / 2;
                continue;
            }
            context.counters.rejected_samples.add(batch.samples as u64);
            let error = crate::error_chain(&error);
            tracing::error!(
                error,
                samples = batch.samples,
                "the server refuses a collection, it is given up"
            );
            acknowledge(&context, batch.end);
            continue;
        }
        failures += 1;
        let longest = running.config.send.max_backoff_seconds.seconds();
        let pause = backoff::pause(failures, longest, error.retry_after(), rand::random());
        if failures == 1 || failures % LOG_EVERY == 0 {
            log_failure(&error, failures, pause);
        }
        wait(&context, pause).await;
    }
}

fn log_failure(error: &crate::api::ApiError, failures: u32, pause: Duration) {
    let retry_seconds = pause.as_secs_f64();
    let text = crate::error_chain(error);
    match error.verdict() {
        Verdict::Unauthorised => tracing::error!(
            error = text,
            failures,
            retry_seconds,
            "the server does not accept this agent's token: enrol again; samples are kept"
        ),
        _ => {
            tracing::warn!(error = text, failures, retry_seconds, "samples could not be sent, they are kept")
        }
    }
}

/// A pause that a new configuration ends: the address may have been the fault.
async fn wait(context: &Context, pause: Duration) {
    let mut running = context.running.clone();
    running.mark_unchanged();
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        _ = running.changed() => {}
    }
}

fn next_batch(context: &Context, max_collections: usize) -> Option<Encoded> {
    let max_samples = context.now().config.send.max_samples_per_request.get();
    let mut spool = context.spool.lock().unwrap_or_else(PoisonError::into_inner);
    let batch = spool.next_batch(usize::try_from(max_samples).unwrap_or(usize::MAX), max_collections)?;
    let (collections, samples, end) = (batch.collections, batch.rows.len(), batch.end);
    match write_request::encode(&batch, &context.credentials.instance) {
        Ok(body) => Some(Encoded { body, collections, samples, end }),
        Err(error) => {
            // Cannot happen below 4 GiB; given up, so that the queue does not stop for it.
            tracing::error!(error = crate::error_chain(&error), "a batch cannot be packed, it is given up");
            spool.acknowledge(end);
            None
        }
    }
}

fn acknowledge(context: &Context, end: Position) {
    context.spool.lock().unwrap_or_else(PoisonError::into_inner).acknowledge(end);
}
