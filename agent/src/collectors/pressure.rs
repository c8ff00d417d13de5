//! Time that work has waited for processor, memory and devices, from `/proc/pressure`: `node_pressure_*`.
//! Kernels without pressure stall information have none.

use super::{CollectError, Collector, number, value};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Pressure;

/// File, beginning of its line, name.
const LINES: [(&str, &str, &str); 6] = [
    ("proc/pressure/cpu", "some", "node_pressure_cpu_waiting_seconds_total"),
    ("proc/pressure/io", "some", "node_pressure_io_waiting_seconds_total"),
    ("proc/pressure/io", "full", "node_pressure_io_stalled_seconds_total"),
    ("proc/pressure/memory", "some", "node_pressure_memory_waiting_seconds_total"),
    ("proc/pressure/memory", "full", "node_pressure_memory_stalled_seconds_total"),
    ("proc/pressure/irq", "full", "node_pressure_irq_stalled_seconds_total"),
];

impl Collector for Pressure {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for file in ["proc/pressure/cpu", "proc/pressure/io", "proc/pressure/memory", "proc/pressure/irq"] {
            if !source.exists(file) {
                continue;
            }
            let text = source.read(file)?;
            for (_, start, name) in LINES.iter().filter(|(of, ..)| *of == file) {
                let line = text.lines().find(|line| line.starts_with(start));
                let total = line.and_then(|line| line.rsplit_once("total=")).map(|(_, micros)| micros);
                if total.is_some() {
                    out.counter(name, &[], value(number(total)) / 1e6);
                }
            }
        }
        Ok(())
    }
}
