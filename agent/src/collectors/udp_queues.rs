//! Bytes that wait in UDP sockets, from `/proc/net/udp` and `/proc/net/udp6`: `node_udp_queues`.

use super::{CollectError, Collector, value};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct UdpQueues;

impl Collector for UdpQueues {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for (file, ip) in [("proc/net/udp", "v4"), ("proc/net/udp6", "v6")] {
            // Without IPv6 there is no second file.
            if ip == "v6" && !source.exists(file) {
                continue;
            }
            let (mut sent, mut received) = (0, 0);
            for line in source.read(file)?.lines().skip(1) {
                let queues = line.split_ascii_whitespace().nth(4).and_then(|word| word.split_once(':'));
                let Some((tx, rx)) = queues else { continue };
                sent += u64::from_str_radix(tx, 16).unwrap_or(0);
                received += u64::from_str_radix(rx, 16).unwrap_or(0);
            }
            out.gauge("node_udp_queues", &[("ip", ip), ("queue", "tx")], value(sent));
            out.gauge("node_udp_queues", &[("ip", ip), ("queue", "rx")], value(received));
        }
        Ok(())
    }
}
