//! Entries of the ARP table by interface, from `/proc/net/arp`: `node_arp_entries`.

use super::{CollectError, Collector, value};
use crate::samples::Output;
use crate::source::Source;

#[derive(Default)]
pub(super) struct Arp {
    counts: Vec<(String, u64)>,
}

impl Collector for Arp {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        // Names stay, so that a table of thousands costs no allocation; one without entries is not told.
        self.counts.iter_mut().for_each(|(_, count)| *count = 0);
        for line in source.read("proc/net/arp")?.lines().skip(1) {
            let Some(device) = line.split_ascii_whitespace().nth(5) else { continue };
            match self.counts.iter_mut().find(|(name, _)| name == device) {
                Some((_, count)) => *count += 1,
                None => self.counts.push((device.to_owned(), 1)),
            }
        }
        self.counts.retain(|(_, count)| *count > 0);
        for (device, count) in &self.counts {
            out.gauge("node_arp_entries", &[("device", device)], value(*count));
        }
        Ok(())
    }
}
