//! The host's clock: `node_time_seconds`.

use super::{CollectError, Collector, value};
use crate::clock;
use crate::samples::Recorder;
use crate::source::Source;

pub(super) struct Time;

impl Collector for Time {
    fn collect(&mut self, _: &mut Source, out: &mut Recorder) -> Result<(), CollectError> {
        out.gauge("node_time_seconds", &[], value(clock::now_ms().unsigned_abs()) / 1_000.0);
        Ok(())
    }
}
