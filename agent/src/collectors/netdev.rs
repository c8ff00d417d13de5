//! Network interfaces, from `/proc/net/dev` and `/sys/class/net`: `node_network_receive_*`, `node_network_transmit_*`.

use super::{CollectError, Collector, value};
use crate::config::NetFilter;
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Netdev {
    filter: NetFilter,
}

impl Netdev {
    pub(super) fn new(filter: NetFilter) -> Self {
        Self { filter }
    }
}

/// The columns, in the kernel's order: first what is received, then what is sent.
const COLUMNS: [&str; 16] = [
    "node_network_receive_bytes_total",
    "node_network_receive_packets_total",
    "node_network_receive_errs_total",
    "node_network_receive_drop_total",
    "node_network_receive_fifo_total",
    "node_network_receive_frame_total",
    "node_network_receive_compressed_total",
    "node_network_receive_multicast_total",
    "node_network_transmit_bytes_total",
    "node_network_transmit_packets_total",
    "node_network_transmit_errs_total",
    "node_network_transmit_drop_total",
    "node_network_transmit_fifo_total",
    "node_network_transmit_colls_total",
    "node_network_transmit_carrier_total",
    "node_network_transmit_compressed_total",
];

impl Collector for Netdev {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let class = source.folder("sys/class/net");
        for line in source.read("proc/net/dev")?.lines().skip(2) {
            // The name may hold a colon (an alias), the numbers may stand right behind it.
            let Some((device, counts)) = line.rsplit_once(':') else { continue };
            let device = device.trim();
            if self.filter.exclude_devices.matches(device) {
                continue;
            }
            for (name, word) in COLUMNS.iter().zip(counts.split_ascii_whitespace()) {
                if let Ok(count) = word.parse() {
                    out.counter(name, &[("device", device)], value(count));
                }
            }
            // The one counter that stands elsewhere.
            let path = format!("{device}/statistics/rx_nohandler");
            if let Some(count) = class.as_ref().and_then(|class| class.number(&path)) {
                out.counter("node_network_receive_nohandler_total", &[("device", device)], count);
            }
        }
        Ok(())
    }
}
