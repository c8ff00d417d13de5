//! The tick: collects at whole multiples of the interval and puts the result into the spool.
//!
//! Invariants: all samples of a collection bear one time; a tick that was missed is skipped, not made up for.

use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::clock::{self, JumpWatch};
use crate::collectors::{self, Runner};
use crate::config::Collect;
use crate::context::Context;
use crate::samples::Recorder;
use crate::write_request;

/// Time between two reports of types and help: the server keeps them in memory.
const METADATA_INTERVAL: Duration = Duration::from_secs(300);

#[derive(Default)]
struct State {
    recorder: Recorder,
    jumps: JumpWatch,
    metadata_at: Option<Instant>,
}

/// Time until the next whole multiple of `interval_ms` after `now_ms`.
#[must_use]
pub fn until_next_tick(now_ms: i64, interval_ms: i64) -> Duration {
    let rest = interval_ms - now_ms.rem_euclid(interval_ms);
    Duration::from_millis(rest.unsigned_abs())
}

/// Time until the tick after the one that was just served. A clock that is slewed can wake the agent a moment too
/// early; that moment is not a second tick.
#[must_use]
pub fn until_tick_after(now_ms: i64, interval_ms: i64) -> Duration {
    let wait = until_next_tick(now_ms, interval_ms);
    let interval = Duration::from_millis(interval_ms.unsigned_abs());
    if wait < interval / 10 { wait + interval } else { wait }
}

/// Collects at once, then until it is stopped. A new configuration takes effect at once.
pub async fn run(context: Context) {
    let mut state = State::default();
    let mut running = context.running.clone();
    let mut first = true;
    loop {
        let collect = running.borrow_and_update().config.collect.clone();
        let mut runner = collectors::runner(&collect, Path::new("/"), &context.counters, &context.boards);
        if std::mem::take(&mut first) {
            collect_into_spool(&context, &mut runner, &mut state).await;
        }
        tick_until_changed(&context, &mut running, &collect, &mut runner, &mut state).await;
    }
}

async fn tick_until_changed(
    context: &Context,
    running: &mut crate::context::RunningReceiver,
    collect: &Collect,
    runner: &mut Runner,
    state: &mut State,
) {
    let interval_ms = i64::try_from(collect.interval_seconds.get() * 1_000).unwrap_or(i64::MAX);
    loop {
        tokio::select! {
            () = tokio::time::sleep(until_tick_after(clock::now_ms(), interval_ms)) => {}
            changed = running.changed() => {
                if changed.is_err() || running.borrow().config.collect != *collect {
                    return;
                }
                continue;
            }
        }
        collect_into_spool(context, runner, state).await;
    }
}

async fn collect_into_spool(context: &Context, runner: &mut Runner, state: &mut State) {
    let (time_ms, started) = (clock::now_ms(), Instant::now());
    note_clock(context, &mut state.jumps, time_ms);
    runner.collect(&mut state.recorder).await;
    context.spool.lock().unwrap_or_else(PoisonError::into_inner).append(time_ms, &state.recorder);
    context.counters.collection_micros.set(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
    if state.metadata_at.is_none_or(|at| at.elapsed() >= METADATA_INTERVAL) {
        state.metadata_at = Some(started);
        match write_request::encode_metadata(state.recorder.families()) {
            Ok(body) => *context.metadata.lock().unwrap_or_else(PoisonError::into_inner) = Some(body),
            Err(error) => tracing::error!(error = crate::error_chain(&error), "metadata cannot be packed"),
        }
    }
    context.collected.send_replace(());
}

fn note_clock(context: &Context, jumps: &mut JumpWatch, now_ms: i64) {
    let counters = &context.counters;
    if let Some(jump_ms) = jumps.look(now_ms, clock::boot_ms()) {
        tracing::warn!(jump_ms, "the clock of this host was set");
        counters.clock_jumps.add(1);
        counters.clock_jump_ms.set(jump_ms.cast_unsigned());
    }
    if let Some(offset_ms) = context.now().api.clock_offset_ms() {
        counters.clock_offset_ms.set(offset_ms.cast_unsigned());
        counters.clock_offset_known.set(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_at_whole_multiples_and_late_ones_are_skipped() {
        for (now, interval, wait) in
            [(0, 15_000, 15_000), (1, 15_000, 14_999), (14_999, 15_000, 1), (47_000, 15_000, 13_000)]
        {
            assert_eq!(until_next_tick(now, interval), Duration::from_millis(wait));
        }
    }

    #[test]
    fn waking_a_moment_early_is_not_a_second_tick() {
        for (now, wait) in [(14_990, 15_010), (15_003, 14_997), (13_000, 2_000)] {
            assert_eq!(until_tick_after(now, 15_000), Duration::from_millis(wait));
        }
    }
}
