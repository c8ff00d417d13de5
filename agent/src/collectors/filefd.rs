//! Open files of the whole system and their limit, from `/proc/sys/fs/file-nr`.

use super::{CollectError, Collector, value};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Filefd;

impl Collector for Filefd {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let mut words = source.read("proc/sys/fs/file-nr")?.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(allocated)), Some(Ok(_)), Some(Ok(maximum))) =
            (words.next(), words.next(), words.next())
        else {
            return Err(CollectError::Format { file: "proc/sys/fs/file-nr", what: "three numbers" });
        };
        out.gauge("node_filefd_allocated", &[], value(allocated));
        out.gauge("node_filefd_maximum", &[], value(maximum));
        Ok(())
    }
}
