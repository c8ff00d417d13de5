//! Processor time by mode, from `/proc/stat`: `node_cpu_seconds_total`, `node_cpu_guest_seconds_total`.
//!
//! The kernel lets idle and iowait run back a little now and then; a counter must not, so the highest value stands
//! until the kernel passes it. A large step back means that the processor was taken out and put back.

use rustix::param::clock_ticks_per_second;

use super::{CollectError, Collector, number, value};
use crate::samples::Output;
use crate::source::Source;

const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const FIELDS: usize = MODES.len() + GUEST_MODES.len();
const IDLE: usize = 3;
/// A step back of idle time beyond this many seconds counts as a new processor.
const RESET_SECONDS: u64 = 3;

/// Processors beyond this number are left out.
const MAX_CPUS: usize = 65_536;

#[derive(Default)]
pub(super) struct Cpu {
    /// By the kernel's number of the processor.
    highest: Vec<[u64; FIELDS]>,
}

impl Collector for Cpu {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let ticks = clock_ticks_per_second();
        let lines = source.proc_stat()?.lines().filter_map(|line| line.strip_prefix("cpu"));
        let mut found = false;
        for line in lines {
            let Some((cpu, times)) = line.split_once(' ') else { continue };
            // The line without a number is the sum of all.
            let Some(place) = cpu.parse().ok().filter(|place| *place < MAX_CPUS) else { continue };
            found = true;
            let mut words = times.split_ascii_whitespace();
            let read: [u64; FIELDS] = std::array::from_fn(|_| number(words.next()));
            if self.highest.len() <= place {
                self.highest.resize(place + 1, [0; FIELDS]);
            }
            let highest = &mut self.highest[place];
            if read[IDLE] + RESET_SECONDS * ticks < highest[IDLE] {
                *highest = read;
            }
            for (kept, read) in highest.iter_mut().zip(read) {
                *kept = (*kept).max(read);
            }
            let seconds = highest.map(|ticks_used| value(ticks_used) / value(ticks));
            for (mode, seconds) in MODES.iter().zip(seconds) {
                out.counter("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], seconds);
            }
            for (mode, seconds) in GUEST_MODES.iter().zip(&seconds[MODES.len()..]) {
                out.counter("node_cpu_guest_seconds_total", &[("cpu", cpu), ("mode", mode)], *seconds);
            }
        }
        if !found {
            return Err(CollectError::Format { file: "proc/stat", what: "processor line" });
        }
        Ok(())
    }
}
