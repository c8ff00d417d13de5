//! Time that tasks ran and waited for each processor, from `/proc/schedstat`: `node_schedstat_*`. Kernels without these
//! statistics have none.

use super::edac::numbered;
use super::{CollectError, Collector, number, value};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Schedstat;

const FILE: &str = "proc/schedstat";

impl Collector for Schedstat {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for line in source.read(FILE)?.lines() {
            let mut words = line.split_ascii_whitespace();
            let Some(cpu) = words.next().and_then(|word| numbered(word, "cpu")) else { continue };
            let mut figures = words.skip(6).map(|word| value(number(Some(word))));
            for (family, unit) in [
                ("node_schedstat_running_seconds_total", 1e9),
                ("node_schedstat_waiting_seconds_total", 1e9),
                ("node_schedstat_timeslices_total", 1.0),
            ] {
                if let Some(figure) = figures.next() {
                    out.counter(family, &[("cpu", cpu)], figure / unit);
                }
            }
        }
        Ok(())
    }
}
