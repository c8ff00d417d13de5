//! Packets by the processor that handled them, from `/proc/net/softnet_stat`: `node_softnet_*`.

use super::{CollectError, Collector, value};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Softnet;

/// Column and name.
const COLUMNS: [(usize, &str); 5] = [
    (0, "node_softnet_processed_total"),
    (1, "node_softnet_dropped_total"),
    (2, "node_softnet_times_squeezed_total"),
    (9, "node_softnet_received_rps_total"),
    (10, "node_softnet_flow_limit_count_total"),
];
/// Column with the processor's number; old kernels write a line for each processor and no number.
const CPU_COLUMN: usize = 12;

impl Collector for Softnet {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for (place, line) in source.read("proc/net/softnet_stat")?.lines().enumerate() {
            let column = |number| {
                let word = line.split_ascii_whitespace().nth(number)?;
                u64::from_str_radix(word, 16).ok()
            };
            let cpu = column(CPU_COLUMN).unwrap_or(place as u64).to_string();
            for (number, name) in COLUMNS {
                if let Some(count) = column(number) {
                    out.counter(name, &[("cpu", &cpu)], value(count));
                }
            }
        }
        Ok(())
    }
}
