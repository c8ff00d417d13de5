//! Errors of memory modules, from `/sys/devices/system/edac`: `node_edac_*`.

use super::{CollectError, Collector};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Edac;

const FOLDER: &str = "sys/devices/system/edac/mc";
/// Beginning of the file's name, and families for the controller and for its rows.
const ERRORS: [(&str, &str, &str); 2] = [
    ("ce", "node_edac_correctable_errors_total", "node_edac_csrow_correctable_errors_total"),
    ("ue", "node_edac_uncorrectable_errors_total", "node_edac_csrow_uncorrectable_errors_total"),
];

impl Collector for Edac {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for name in source.names(FOLDER) {
            let Some(controller) = numbered(&name, "mc") else { continue };
            let path = format!("{FOLDER}/{name}");
            let Some(folder) = source.folder(&path) else { continue };
            let rows = source.names(&path);
            let label = ("controller", controller);
            for (start, family, of_rows) in ERRORS {
                if let Some(count) = folder.number(&format!("{start}_count")) {
                    out.counter(family, &[label], count);
                }
                if let Some(count) = folder.number(&format!("{start}_noinfo_count")) {
                    out.counter(of_rows, &[label, ("csrow", "unknown")], count);
                }
                for (row, number) in rows.iter().filter_map(|row| Some((row, numbered(row, "csrow")?))) {
                    if let Some(count) = folder.number(&format!("{row}/{start}_count")) {
                        out.counter(of_rows, &[label, ("csrow", number)], count);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The number behind a beginning, as it is written.
pub(super) fn numbered<'a>(name: &'a str, start: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(start)?;
    (!rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
}
