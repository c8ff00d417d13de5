//! What the agent itself costs and suffers: `siaga_agent_*`, and `process_*` as every exporter has them.

use std::sync::Arc;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use siaga_protocol::metric_names as names;

use super::{CollectError, Collector, number, value};
use crate::counters::{Counter, Counters};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Own {
    counters: Arc<Counters>,
}

impl Own {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { counters }
    }
}

/// Processor seconds of this process since it started, to the microsecond.
#[must_use]
pub(crate) fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let micros = used.tv_sec.unsigned_abs() * 1_000_000 + used.tv_nsec.unsigned_abs() / 1_000;
    value(micros) / 1e6
}

/// Seconds from milliseconds in two's complement.
fn signed_seconds(ms: u64) -> f64 {
    let ms = ms.cast_signed();
    value(ms.unsigned_abs()).copysign(if ms < 0 { -1.0 } else { 1.0 }) / 1e3
}

impl Collector for Own {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        out.counter(names::AGENT_CPU_SECONDS, &[], cpu_seconds());
        let counters = &self.counters;
        for (name, counter) in [
            (names::AGENT_SPOOL_DROPPED, &counters.spool_dropped_samples),
            (names::AGENT_SPOOL_ERRORS, &counters.spool_errors),
            (names::AGENT_SEND_FAILURES, &counters.send_failures),
            (names::AGENT_REJECTED_SAMPLES, &counters.rejected_samples),
            (names::AGENT_ORDERS_REFUSED, &counters.orders_refused),
        ] {
            out.counter(name, &[], value(counter.get()));
        }
        let seconds = |counter: &Counter| signed_seconds(counter.get());
        out.counter(names::AGENT_CLOCK_JUMPS, &[], value(counters.clock_jumps.get()));
        out.gauge(names::AGENT_CLOCK_JUMP_SECONDS, &[], seconds(&counters.clock_jump_ms));
        if counters.clock_offset_known.get() == 1 {
            out.gauge(names::AGENT_CLOCK_OFFSET_SECONDS, &[], seconds(&counters.clock_offset_ms));
        }
        out.gauge(names::AGENT_ORDERS_MEMORY_BROKEN, &[], value(counters.orders_memory_broken.get()));
        if counters.executor_wanted.get() == 1 {
            out.gauge(names::AGENT_EXECUTOR_UP, &[], value(counters.executor_up.get()));
        }
        out.gauge(names::AGENT_SPOOL_BYTES, &[], value(counters.spool_bytes.get()));
        out.gauge(names::AGENT_COLLECT_SECONDS, &[], value(counters.collection_micros.get()) / 1e6);
        out.gauge(names::AGENT_BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        tell_process(source, out)
    }
}

/// Bytes that a limit may not pass, as `prlimit` shows "unlimited".
const UNLIMITED: f64 = 18_446_744_073_709_551_615.0;

fn tell_process(source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
    let mut pages = source.read("proc/self/statm")?.split_ascii_whitespace().map(|word| number(Some(word)));
    let bytes = |pages: Option<u64>| value(pages.unwrap_or(0) * page_size() as u64);
    let (total, resident) = (bytes(pages.next()), bytes(pages.next()));
    out.gauge(names::AGENT_RESIDENT_BYTES, &[], resident);
    out.gauge("process_resident_memory_bytes", &[], resident);
    out.gauge("process_virtual_memory_bytes", &[], total);
    out.counter("process_cpu_seconds_total", &[], cpu_seconds());
    for (name, limit) in
        [("process_max_fds", Resource::Nofile), ("process_virtual_memory_max_bytes", Resource::As)]
    {
        out.gauge(name, &[], getrlimit(limit).current.map_or(UNLIMITED, value));
    }
    out.gauge("process_open_fds", &[], value(source.names("proc/self/fd").len() as u64));
    // Ticks since boot; the name before may hold blanks.
    let stat = source.read("proc/self/stat")?;
    let ticks = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19));
    let since_boot = value(number(ticks)) / value(clock_ticks_per_second());
    let boot = source.proc_stat()?.lines().find_map(|line| line.strip_prefix("btime "));
    out.gauge("process_start_time_seconds", &[], value(number(boot)) + since_boot);
    Ok(())
}
