//! Boot time, context switches, forks, interrupts and the run queue, from `/proc/stat`.

use super::{CollectError, Collector, number, value};
use crate::samples::{Kind, Output};
use crate::source::Source;

pub(super) struct Stat;

const FIELDS: [(&str, Kind, &str); 6] = [
    ("btime", Kind::Gauge, "node_boot_time_seconds"),
    ("ctxt", Kind::Counter, "node_context_switches_total"),
    ("intr", Kind::Counter, "node_intr_total"),
    ("processes", Kind::Counter, "node_forks_total"),
    ("procs_blocked", Kind::Gauge, "node_procs_blocked"),
    ("procs_running", Kind::Gauge, "node_procs_running"),
];

impl Collector for Stat {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let mut found = 0;
        for line in source.proc_stat()?.lines() {
            let Some((key, rest)) = line.split_once(' ') else { continue };
            if let Some((_, kind, name)) = FIELDS.iter().find(|(field, ..)| *field == key) {
                // The line of interrupts goes on for thousands of numbers; the first is the sum.
                out.record(*kind, name, &[], value(number(rest.split(' ').next())));
                found += 1;
            }
        }
        if found == 0 {
            return Err(CollectError::Format { file: "proc/stat", what: "known line" });
        }
        Ok(())
    }
}
