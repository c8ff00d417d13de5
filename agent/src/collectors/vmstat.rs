//! Paging, swapping and kills for want of memory, from `/proc/vmstat`: the fields that node_exporter chooses.

use super::{CollectError, Collector, value};
use crate::samples::{Kind, Output};
use crate::source::Source;

#[derive(Default)]
pub(super) struct Vmstat {
    name: String,
}

/// node_exporter's choice: `oom_kill*`, `pgpg*`, `pswp*` and `pg*fault*`.
fn is_chosen(field: &str) -> bool {
    ["oom_kill", "pgpg", "pswp"].iter().any(|start| field.starts_with(start))
        || (field.starts_with("pg") && field.contains("fault"))
}

impl Collector for Vmstat {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for line in source.read("proc/vmstat")?.lines() {
            let Some((field, count)) = line.split_once(' ') else { continue };
            if !is_chosen(field) {
                continue;
            }
            let Ok(count) = count.trim().parse() else { continue };
            self.name.clear();
            self.name.push_str("node_vmstat_");
            self.name.push_str(field);
            out.record(Kind::Untyped, &self.name, &[], value(count));
        }
        Ok(())
    }
}
