//! Bounds of an inventory. What is beyond them is refused whole, with the place, so that no half report is stored.

use siaga_protocol::inventory::Inventory;

/// Packages of one host.
const MAX_PACKAGES: usize = 20_000;
/// Disks of one host.
const MAX_DISKS: usize = 2_000;
/// Filesystems of one host.
const MAX_FILESYSTEMS: usize = 2_000;
/// Network interfaces of one host.
const MAX_INTERFACES: usize = 2_000;
/// Watched files of one host.
const MAX_FILES: usize = 5_000;
/// Ports of one host that are listened on.
const MAX_LISTENERS: usize = 1_000;
/// Codes of what a proposal needs.
const MAX_NEEDS: usize = 16;
/// Addresses of one interface or port.
const MAX_ADDRESSES: usize = 256;
/// Longest text, bytes. A path of a filesystem may be as long as Linux allows.
const MAX_TEXT_BYTES: usize = 4_096;

/// What is beyond a bound, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct LimitError {
    /// Field of the report.
    pub at: String,
    /// Which bound.
    pub reason: String,
}

/// Checks a report.
///
/// # Errors
/// The first field that is beyond its bound.
pub fn check(inventory: &Inventory) -> Result<(), LimitError> {
    // Every part of a report may be absent; one that says not even whose it is would empty the asset's row.
    for (at, text) in [("hostname", &inventory.hostname), ("machine_id", &inventory.machine_id)] {
        if text.is_empty() {
            let reason = "is missing: an inventory says whose it is".to_owned();
            return Err(LimitError { at: at.to_owned(), reason });
        }
    }
    for (at, count, limit) in [
        ("packages", inventory.packages.len(), MAX_PACKAGES),
        ("disks", inventory.disks.len(), MAX_DISKS),
        ("filesystems", inventory.filesystems.len(), MAX_FILESYSTEMS),
        ("interfaces", inventory.interfaces.len(), MAX_INTERFACES),
        ("files", inventory.files.as_ref().map_or(0, Vec::len), MAX_FILES),
        ("listeners", inventory.listeners.as_ref().map_or(0, Vec::len), MAX_LISTENERS),
    ] {
        if count > limit {
            let reason = format!("{count} entries, at most {limit} are accepted");
            return Err(LimitError { at: at.to_owned(), reason });
        }
    }
    for (index, interface) in inventory.interfaces.iter().enumerate() {
        if interface.addresses.len() > MAX_ADDRESSES {
            let reason = format!("more than {MAX_ADDRESSES} addresses");
            return Err(LimitError { at: format!("interfaces[{index}].addresses"), reason });
        }
    }
    for (index, listener) in inventory.listeners.iter().flatten().enumerate() {
        let needs = listener.proposal.as_ref().map_or(0, |proposal| proposal.needs.len());
        if listener.addresses.len() > MAX_ADDRESSES || needs > MAX_NEEDS {
            let reason = format!("more than {MAX_ADDRESSES} addresses or {MAX_NEEDS} needs");
            return Err(LimitError { at: format!("listeners[{index}]"), reason });
        }
    }
    texts(inventory).try_for_each(|(at, text)| check_text(at, text))
}

fn check_text(at: String, text: &str) -> Result<(), LimitError> {
    let reason = if text.len() > MAX_TEXT_BYTES {
        format!("more than {MAX_TEXT_BYTES} bytes")
    } else if text.contains('\0') {
        "a NUL character is not accepted".to_owned()
    } else {
        return Ok(());
    };
    Err(LimitError { at, reason })
}

fn texts(inventory: &Inventory) -> impl Iterator<Item = (String, &str)> {
    let (os, hardware) = (&inventory.os, &inventory.hardware);
    let facts = [
        ("hostname", &inventory.hostname),
        ("machine_id", &inventory.machine_id),
        ("os.name", &os.name),
        ("os.version", &os.version),
        ("os.kernel", &os.kernel),
        ("os.architecture", &os.architecture),
        ("hardware.vendor", &hardware.vendor),
        ("hardware.product", &hardware.product),
        ("hardware.cpu_model", &hardware.cpu_model),
        ("hardware.virtualization", &hardware.virtualization),
    ];
    let disks = (0..).zip(&inventory.disks).flat_map(|(i, disk)| list("disks", i, [&disk.name, &disk.model]));
    let filesystems = (0..).zip(&inventory.filesystems).flat_map(|(i, filesystem)| {
        list("filesystems", i, [&filesystem.mountpoint, &filesystem.device, &filesystem.fstype])
    });
    let interfaces = (0..).zip(&inventory.interfaces).flat_map(|(i, interface)| {
        list("interfaces", i, [&interface.name, &interface.mac].into_iter().chain(&interface.addresses))
    });
    let packages = (0..)
        .zip(&inventory.packages)
        .flat_map(|(i, package)| list("packages", i, [&package.name, &package.version]));
    let files = (0..)
        .zip(inventory.files.iter().flatten())
        .flat_map(|(i, file)| list("files", i, [&file.path, &file.sha256, &file.mode, &file.owner]));
    let listeners = (0..).zip(inventory.listeners.iter().flatten()).flat_map(|(i, listener)| {
        let own = [&listener.id, &listener.kind, &listener.process, &listener.user, &listener.banner];
        let proposal =
            listener.proposal.iter().flat_map(|proposal| proposal.needs.iter().chain([&proposal.config]));
        list("listeners", i, own.into_iter().chain(&listener.addresses).chain(proposal))
    });
    facts
        .into_iter()
        .map(|(at, text)| (at.to_owned(), text.as_str()))
        .chain(disks)
        .chain(filesystems)
        .chain(interfaces)
        .chain(packages)
        .chain(files)
        .chain(listeners)
}

fn list<'a>(
    what: &'static str,
    index: usize,
    texts: impl IntoIterator<Item = &'a String>,
) -> impl Iterator<Item = (String, &'a str)> {
    texts.into_iter().map(move |text| (format!("{what}[{index}]"), text.as_str()))
}

#[cfg(test)]
mod tests {
    use siaga_protocol::inventory::{Interface, Package, WatchedFile};

    use super::*;

    #[test]
    fn what_is_beyond_a_bound_is_named_with_its_place() {
        type Edit = fn(&mut Inventory);
        let table: [(Edit, &str); 8] = [
            (|i| i.hostname.clear(), "hostname"),
            (|i| i.machine_id.clear(), "machine_id"),
            (|i| i.packages = vec![Package::default(); MAX_PACKAGES + 1], "packages"),
            (
                |i| {
                    let addresses = vec![String::new(); MAX_ADDRESSES + 1];
                    i.interfaces = vec![Interface { addresses, ..Interface::default() }];
                },
                "interfaces[0].addresses",
            ),
            (|i| i.files = Some(vec![WatchedFile::default(); MAX_FILES + 1]), "files"),
            (|i| i.hostname = "x".repeat(MAX_TEXT_BYTES + 1), "hostname"),
            (|i| i.os.kernel = "6.1\0".to_owned(), "os.kernel"),
            (
                |i| {
                    i.packages = vec![Package::default(); 2];
                    i.packages[1].version = "\u{0}".to_owned();
                },
                "packages[1]",
            ),
        ];
        for (edit, at) in table {
            let mut inventory =
                Inventory { hostname: "web".to_owned(), machine_id: "1".to_owned(), ..Inventory::default() };
            assert_eq!(check(&inventory), Ok(()));
            edit(&mut inventory);
            assert_eq!(check(&inventory).unwrap_err().at, at);
        }
    }
}
