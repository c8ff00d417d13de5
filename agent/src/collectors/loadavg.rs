//! Load averages over 1, 5 and 15 minutes, from `/proc/loadavg`.

use super::{CollectError, Collector};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Loadavg;

impl Collector for Loadavg {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let mut words = source.read("proc/loadavg")?.split_ascii_whitespace();
        for name in ["node_load1", "node_load5", "node_load15"] {
            let load = words.next().and_then(|word| word.parse().ok());
            let load = load.ok_or(CollectError::Format { file: "proc/loadavg", what: "load" })?;
            out.gauge(name, &[], load);
        }
        Ok(())
    }
}
