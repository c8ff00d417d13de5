//! Every field of `/proc/meminfo` as `node_memory_*`, in bytes where the kernel counts in kB.

use super::{CollectError, Collector, value};
use crate::samples::Output;
use crate::source::Source;

#[derive(Default)]
pub(super) struct Meminfo {
    name: String,
}

impl Collector for Meminfo {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let mut found = 0;
        for line in source.read("proc/meminfo")?.lines() {
            let Some((field, rest)) = line.split_once(':') else { continue };
            let mut words = rest.split_ascii_whitespace();
            let Some(amount) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
            self.name.clear();
            self.name.push_str("node_memory_");
            // `Active(anon)` is `Active_anon`.
            for c in field.chars().filter(|c| *c != ')') {
                self.name.push(if c == '(' { '_' } else { c });
            }
            let factor = if words.next() == Some("kB") {
                self.name.push_str("_bytes");
                1024
            } else {
                1
            };
            out.gauge(&self.name, &[], value(amount.saturating_mul(factor)));
            found += 1;
        }
        if found == 0 {
            return Err(CollectError::Format { file: "proc/meminfo", what: "field" });
        }
        Ok(())
    }
}
