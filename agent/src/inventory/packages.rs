//! Installed packages, from dpkg's status file (`deb822`).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::SystemTime;

use siaga_protocol::inventory::Package;

/// Packages that are reported.
pub const MAX_PACKAGES: usize = 20_000;
/// Longest line that is read; only names, states and versions matter, which are short.
const MAX_LINE_BYTES: u64 = 64 * 1024;
const STATUS_FILE: &str = "var/lib/dpkg/status";

/// Changes when packages may have changed.
pub(super) fn version(root: &Path) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(root.join(STATUS_FILE)).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// Installed packages, sorted by name; none where dpkg is not used.
pub(super) fn read(root: &Path) -> Vec<Package> {
    let Ok(file) = File::open(root.join(STATUS_FILE)) else { return Vec::new() };
    parse(BufReader::new(file))
}

fn parse(mut input: impl BufRead) -> Vec<Package> {
    let mut packages = Vec::new();
    let (mut current, mut installed) = (Package::default(), false);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = std::io::Read::take(&mut input, MAX_LINE_BYTES).read_until(b'\n', &mut line).unwrap_or(0);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if text.is_empty() {
            let package = std::mem::take(&mut current);
            if std::mem::take(&mut installed) && !package.name.is_empty() && packages.len() < MAX_PACKAGES {
                packages.push(package);
            }
        } else if let Some(name) = text.strip_prefix("Package: ") {
            name.clone_into(&mut current.name);
        } else if let Some(version) = text.strip_prefix("Version: ") {
            version.clone_into(&mut current.version);
        } else if let Some(status) = text.strip_prefix("Status: ") {
            installed = status.ends_with(" installed");
        }
        if read == 0 {
            break;
        }
    }
    packages.sort_unstable();
    // The same version for two architectures is one fact.
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_are_listed_and_removed_ones_are_not() {
        let text = "Package: zlib1g\nStatus: install ok installed\nVersion: 1:1.2.13\nDescription: x\n Package: no\n\n\
                    Package: gone\nStatus: deinstall ok config-files\nVersion: 2\n\n\
                    Package: adduser\nStatus: install ok installed\nVersion: 3.134";
        let names: Vec<_> = parse(text.as_bytes()).into_iter().map(|p| (p.name, p.version)).collect();
        assert_eq!(names, [("adduser".into(), "3.134".into()), ("zlib1g".into(), "1:1.2.13".into())]);
    }

    #[test]
    fn the_list_is_bounded() {
        let text: String = (0..MAX_PACKAGES + 5)
            .map(|n| format!("Package: p{n}\nStatus: install ok installed\nVersion: 1\n\n"))
            .collect();
        assert_eq!(parse(text.as_bytes()).len(), MAX_PACKAGES);
    }
}
