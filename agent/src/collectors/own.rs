//! What the agent itself costs and suffers: `siaga_agent_*`.

use std::sync::Arc;

use rustix::param::page_size;
use rustix::time::{ClockId, clock_gettime};
use siaga_protocol::metric_names as names;

use super::{CollectError, Collector, number, value};
use crate::counters::Counters;
use crate::samples::Recorder;
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

impl Collector for Own {
    fn collect(&mut self, source: &mut Source, out: &mut Recorder) -> Result<(), CollectError> {
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
        out.gauge(names::AGENT_SPOOL_BYTES, &[], value(counters.spool_bytes.get()));
        out.gauge(names::AGENT_COLLECT_SECONDS, &[], value(counters.collection_micros.get()) / 1e6);
        out.gauge(names::AGENT_BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        let pages = number(source.read("proc/self/statm")?.split_ascii_whitespace().nth(1));
        out.gauge(names::AGENT_RESIDENT_BYTES, &[], value(pages * page_size() as u64));
        Ok(())
    }
}
