//! Connection tracking of the packet filter: `node_nf_conntrack_*`. A host that does not track has none.

use super::{CollectError, Collector, number, value};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Conntrack;

const COUNTERS: [(&str, &str); 8] = [
    ("found", "node_nf_conntrack_stat_found"),
    ("invalid", "node_nf_conntrack_stat_invalid"),
    ("ignore", "node_nf_conntrack_stat_ignore"),
    ("insert", "node_nf_conntrack_stat_insert"),
    ("insert_failed", "node_nf_conntrack_stat_insert_failed"),
    ("drop", "node_nf_conntrack_stat_drop"),
    ("early_drop", "node_nf_conntrack_stat_early_drop"),
    ("search_restart", "node_nf_conntrack_stat_search_restart"),
];

impl Collector for Conntrack {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for (name, file) in [
            ("node_nf_conntrack_entries", "proc/sys/net/netfilter/nf_conntrack_count"),
            ("node_nf_conntrack_entries_limit", "proc/sys/net/netfilter/nf_conntrack_max"),
        ] {
            if !source.exists(file) {
                return Ok(());
            }
            let entries = number(Some(source.read(file)?.trim()));
            out.gauge(name, &[], value(entries));
        }
        if !source.exists("proc/net/stat/nf_conntrack") {
            return Ok(());
        }
        // One line for each processor, in hexadecimal, below a line of names.
        let mut lines = source.read("proc/net/stat/nf_conntrack")?.lines();
        let names = lines.next().unwrap_or_default();
        let mut sums = [0_u64; COUNTERS.len()];
        for line in lines {
            for (field, word) in names.split_ascii_whitespace().zip(line.split_ascii_whitespace()) {
                if let Some(place) = COUNTERS.iter().position(|(known, _)| *known == field) {
                    sums[place] += u64::from_str_radix(word, 16).unwrap_or(0);
                }
            }
        }
        for ((_, name), sum) in COUNTERS.iter().zip(sums) {
            out.gauge(name, &[], value(sum));
        }
        Ok(())
    }
}
