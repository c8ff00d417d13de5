//! Processor time by mode, from `/proc/stat`: `node_cpu_seconds_total`, `node_cpu_guest_seconds_total`.
//!
//! The kernel lets idle and iowait run back a little now and then; a counter must not, so the highest value stands
//! until the kernel passes it. A large step back means that the processor was taken out and put back.

use rustix::param::clock_ticks_per_second;

use super::{CollectError, Collector, number, value};
use crate::samples::Recorder;
use crate::source::Source;

const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const FIELDS: usize = MODES.len() + GUEST_MODES.len();
const IDLE: usize = 3;
/// A step back of idle time beyond this many seconds counts as a new processor.
const RESET_SECONDS: u64 = 3;

#[derive(Default)]
pub(super) struct Cpu {
    highest: Vec<[u64; FIELDS]>,
}

impl Collector for Cpu {
    fn collect(&mut self, source: &mut Source, out: &mut Recorder) -> Result<(), CollectError> {
        let ticks = clock_ticks_per_second();
        let lines = source.proc_stat()?.lines().filter_map(|line| line.strip_prefix("cpu"));
        let mut place = 0;
        for line in lines {
            let Some((cpu, times)) = line.split_once(' ') else { continue };
            if cpu.is_empty() {
                continue; // the sum of all
            }
            let mut words = times.split_ascii_whitespace();
            let read: [u64; FIELDS] = std::array::from_fn(|_| number(words.next()));
            if self.highest.len() <= place {
                self.highest.push(read);
            }
            let highest = &mut self.highest[place];
            place += 1;
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
        self.highest.truncate(place);
        if place == 0 {
            return Err(CollectError::Format { file: "proc/stat", what: "processor line" });
        }
        Ok(())
    }
}
