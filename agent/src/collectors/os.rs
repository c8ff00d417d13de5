//! The operating system's release, from `/etc/os-release`: `node_os_info`, `node_os_version`.

use super::{CollectError, Collector, SELDOM_ROUNDS};
use crate::samples::Output;
use crate::source::Source;

/// The file is read again every [`SELDOM_ROUNDS`] collections.
#[derive(Default)]
pub(super) struct Os {
    text: String,
    round: u32,
}

/// Label of `node_os_info` and key of the file.
const KEYS: [(&str, &str); 12] = [
    ("build_id", "BUILD_ID"),
    ("id", "ID"),
    ("id_like", "ID_LIKE"),
    ("image_id", "IMAGE_ID"),
    ("image_version", "IMAGE_VERSION"),
    ("name", "NAME"),
    ("pretty_name", "PRETTY_NAME"),
    ("variant", "VARIANT"),
    ("variant_id", "VARIANT_ID"),
    ("version", "VERSION"),
    ("version_codename", "VERSION_CODENAME"),
    ("version_id", "VERSION_ID"),
];

/// Keys and values of an os-release file (`os-release(5)`), quotes taken off.
pub fn parse_os_release(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (key, value) = line.trim().split_once('=')?;
        let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        Some((key, unquoted.unwrap_or(value)))
    })
}

impl Collector for Os {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        if self.round.is_multiple_of(SELDOM_ROUNDS) {
            let path = if source.exists("etc/os-release") { "etc/os-release" } else { "usr/lib/os-release" };
            self.text.clear();
            self.text.push_str(source.read(path)?);
        }
        self.round = self.round.wrapping_add(1);
        let mut labels = KEYS.map(|(label, _)| (label, ""));
        for (key, value) in parse_os_release(&self.text) {
            if let Some(place) = KEYS.iter().position(|(_, known)| *known == key) {
                labels[place].1 = value;
            }
        }
        out.gauge("node_os_info", &labels, 1.0);
        let of = |label: &str| labels.iter().find(|(name, _)| *name == label).map_or("", |(_, value)| value);
        if let Some(version) = leading_number(of("version_id")) {
            let labels = [("id", of("id")), ("id_like", of("id_like")), ("name", of("name"))];
            out.gauge("node_os_version", &labels, version);
        }
        Ok(())
    }
}

/// `22.04.1` is 22.04: major and minor as one number.
fn leading_number(version: &str) -> Option<f64> {
    let end = version.match_indices('.').nth(1).map_or(version.len(), |(at, _)| at);
    version[..end].parse().ok()
}
