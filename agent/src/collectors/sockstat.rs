//! Sockets in use, from `/proc/net/sockstat` and `/proc/net/sockstat6`: `node_sockstat_*`.

use rustix::param::page_size;

use super::{CollectError, Collector, value};
use crate::samples::Output;
use crate::source::Source;

#[derive(Default)]
pub(super) struct Sockstat {
    name: String,
}

impl Sockstat {
    fn tell(&mut self, protocol: &str, field: &str, amount: f64, out: &mut Output) {
        self.name.clear();
        for part in ["node_sockstat_", protocol, "_", field] {
            self.name.push_str(part);
        }
        out.gauge(&self.name, &[], amount);
    }
}

impl Collector for Sockstat {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for file in ["proc/net/sockstat", "proc/net/sockstat6"] {
            // Without IPv6 there is no second file.
            if file.ends_with('6') && !source.exists(file) {
                continue;
            }
            for line in source.read(file)?.lines() {
                let Some((protocol, fields)) = line.split_once(':') else { continue };
                let mut words = fields.split_ascii_whitespace();
                while let (Some(field), Some(amount)) = (words.next(), words.next()) {
                    let Ok(amount) = amount.parse::<u64>() else { continue };
                    self.tell(protocol, field, value(amount), out);
                    if field == "mem" {
                        // The kernel counts in pages.
                        self.tell(protocol, "mem_bytes", value(amount) * value(page_size() as u64), out);
                    }
                }
            }
        }
        Ok(())
    }
}
