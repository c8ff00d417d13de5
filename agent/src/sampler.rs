//! The tick: collects at whole multiples of the interval and puts the result into the spool.
//!
//! Invariants: all samples of a collection bear one time; a tick that was missed is skipped, not made up for.

use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::clock;
use crate::collectors::{self, Runner};
use crate::config::Collect;
use crate::context::Context;
use crate::samples::Recorder;

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
    let mut recorder = Recorder::default();
    let mut running = context.running.clone();
    let mut first = true;
    loop {
        let collect = running.borrow_and_update().config.collect.clone();
        let mut runner = collectors::runner(&collect, Path::new("/"), &context.counters);
        if std::mem::take(&mut first) {
            collect_into_spool(&context, &mut runner, &mut recorder).await;
        }
        tick_until_changed(&context, &mut running, &collect, &mut runner, &mut recorder).await;
    }
}

async fn tick_until_changed(
    context: &Context,
    running: &mut crate::context::RunningReceiver,
    collect: &Collect,
    runner: &mut Runner,
    recorder: &mut Recorder,
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
        collect_into_spool(context, runner, recorder).await;
    }
}

async fn collect_into_spool(context: &Context, runner: &mut Runner, recorder: &mut Recorder) {
    let (time_ms, started) = (clock::now_ms(), Instant::now());
    runner.collect(recorder).await;
    context.spool.lock().unwrap_or_else(PoisonError::into_inner).append(time_ms, recorder);
    context.counters.collection_micros.set(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
    context.collected.notify_one();
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
