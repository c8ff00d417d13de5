//! Randomness that the kernel has gathered: `node_entropy_*`.

use super::{CollectError, Collector, number, value};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Entropy;

impl Collector for Entropy {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for (name, file) in [
            ("node_entropy_available_bits", "proc/sys/kernel/random/entropy_avail"),
            ("node_entropy_pool_size_bits", "proc/sys/kernel/random/poolsize"),
        ] {
            let bits = number(Some(source.read(file)?.trim()));
            out.gauge(name, &[], value(bits));
        }
        Ok(())
    }
}
