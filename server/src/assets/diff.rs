//! What changed between two inventories of a host. Pure; the order of lists in a report does not matter.
//!
//! Invariants: equal inventories have no changes; turning the two around turns every change around; every change
//! has two sides that differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use siaga_protocol::inventory::{Disk, Filesystem, Interface, Inventory, Listener, Package, WatchedFile};

/// How a field changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It is there no more.
    Removed,
    /// Its value is another one.
    Changed,
}

impl ChangeKind {
    /// Code in records and in the API.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// One changed field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldChange {
    /// Which field, readable: `memory_bytes`, `disk sda size_bytes`, `package openssl`.
    pub field: String,
    /// How.
    pub kind: ChangeKind,
    /// Value before; `None` if it was not there.
    pub old: Option<String>,
    /// Value after; `None` if it is there no more.
    pub new: Option<String>,
}

/// Fields that differ, sorted by field.
#[must_use]
pub fn diff(old: &Inventory, new: &Inventory) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    facts(old, new, &mut changes);
    parts(
        "disk",
        &by_name(&old.disks, |disk| &disk.name),
        &by_name(&new.disks, |disk| &disk.name),
        &mut changes,
    );
    parts(
        "filesystem",
        &by_name(&old.filesystems, |filesystem| &filesystem.mountpoint),
        &by_name(&new.filesystems, |filesystem| &filesystem.mountpoint),
        &mut changes,
    );
    parts(
        "interface",
        &by_name(&old.interfaces, |interface| &interface.name),
        &by_name(&new.interfaces, |interface| &interface.name),
        &mut changes,
    );
    packages(&old.packages, &new.packages, &mut changes);
    if let (Some(old), Some(new)) = (&old.files, &new.files) {
        files(old, new, &mut changes);
    }
    if let (Some(old), Some(new)) = (&old.listeners, &new.listeners) {
        let (old, new) = (by_name(old, |listener| &listener.id), by_name(new, |listener| &listener.id));
        parts("listener", &old, &new, &mut changes);
    }
    changes.sort();
    changes
}

fn facts(old: &Inventory, new: &Inventory, changes: &mut Vec<FieldChange>) {
    let (a, b) = (&old.hardware, &new.hardware);
    for (field, old, new) in [
        ("hostname", &old.hostname, &new.hostname),
        ("machine_id", &old.machine_id, &new.machine_id),
        ("os name", &old.os.name, &new.os.name),
        ("os version", &old.os.version, &new.os.version),
        ("os kernel", &old.os.kernel, &new.os.kernel),
        ("os architecture", &old.os.architecture, &new.os.architecture),
        ("vendor", &a.vendor, &b.vendor),
        ("product", &a.product, &b.product),
        ("cpu_model", &a.cpu_model, &b.cpu_model),
        ("virtualization", &a.virtualization, &b.virtualization),
    ] {
        value(field.to_owned(), old, new, changes);
    }
    value("cpu_count".to_owned(), &a.cpu_count, &b.cpu_count, changes);
    value("memory_bytes".to_owned(), &a.memory_bytes, &b.memory_bytes, changes);
}

fn value<T: PartialEq + Display>(field: String, old: &T, new: &T, changes: &mut Vec<FieldChange>) {
    if old != new {
        let (old, new) = (Some(old.to_string()), Some(new.to_string()));
        changes.push(FieldChange { field, kind: ChangeKind::Changed, old, new });
    }
}

/// A part of a host that has a name of its own.
trait Part {
    /// Its fields and their values.
    fn fields(&self) -> Vec<(&'static str, String)>;
    /// The whole of it in one line.
    fn summary(&self) -> String {
        let fields = self.fields().into_iter().filter(|(_, value)| !value.is_empty());
        fields.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    }
}

impl Part for Disk {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("size_bytes", self.size_bytes.to_string()),
            ("model", self.model.clone()),
            ("rotational", self.rotational.to_string()),
        ]
    }
}

impl Part for Filesystem {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("device", self.device.clone()),
            ("fstype", self.fstype.clone()),
            ("size_bytes", self.size_bytes.to_string()),
        ]
    }
}

impl Part for Interface {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let addresses: BTreeSet<&str> = self.addresses.iter().map(String::as_str).collect();
        let addresses = addresses.into_iter().collect::<Vec<_>>().join(" ");
        vec![("mac", self.mac.clone()), ("addresses", addresses)]
    }
}

/// How it could be watched, and whether it is, is no fact of the host.
impl Part for Listener {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("addresses", self.addresses.join(" ")),
            ("process", self.process.clone()),
            ("user", self.user.clone()),
            ("banner", self.banner.clone()),
        ]
    }
}

impl Part for WatchedFile {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("size_bytes", self.size_bytes.to_string()),
            ("modified_ms", self.modified_ms.to_string()),
            ("sha256", self.sha256.clone()),
            ("file_mode", self.mode.clone()),
            ("file_owner", self.owner.clone()),
        ]
    }
}

/// A changed file is one change, with what differs of it: it was one deed.
fn files(old: &[WatchedFile], new: &[WatchedFile], changes: &mut Vec<FieldChange>) {
    let (old, new) = (by_name(old, |file| &file.path), by_name(new, |file| &file.path));
    let paths: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    for path in paths {
        let (before, after) = (old.get(path), new.get(path));
        let (kind, old, new) = match (before, after) {
            (None, after) => (ChangeKind::Added, None, after.map(|file| file.summary())),
            (before, None) => (ChangeKind::Removed, before.map(|file| file.summary()), None),
            (Some(before), Some(after)) => {
                let differs = |(a, b): &((_, String), (_, String))| a.1 != b.1;
                let fields = before.fields().into_iter().zip(after.fields()).filter(differs);
                let (old, new): (Vec<_>, Vec<_>) =
                    fields.map(|((name, a), (_, b))| (format!("{name} {a}"), format!("{name} {b}"))).unzip();
                if old.is_empty() {
                    continue;
                }
                (ChangeKind::Changed, Some(old.join(", ")), Some(new.join(", ")))
            }
        };
        changes.push(FieldChange { field: format!("file {path}"), kind, old, new });
    }
}

/// Parts by name; of two with one name the last counts.
fn by_name<'a, T>(parts: &'a [T], name: impl Fn(&'a T) -> &'a String) -> BTreeMap<&'a str, &'a T> {
    parts.iter().map(|part| (name(part).as_str(), part)).collect()
}

fn parts<T: Part>(
    what: &str,
    old: &BTreeMap<&str, &T>,
    new: &BTreeMap<&str, &T>,
    changes: &mut Vec<FieldChange>,
) {
    for (name, part) in old {
        let field = format!("{what} {name}");
        let Some(now) = new.get(name) else {
            let old = Some(part.summary());
            changes.push(FieldChange { field, kind: ChangeKind::Removed, old, new: None });
            continue;
        };
        for ((key, before), (_, after)) in part.fields().iter().zip(now.fields()) {
            value(format!("{field} {key}"), before, &after, changes);
        }
    }
    for (name, part) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        let (field, new) = (format!("{what} {name}"), Some(part.summary()));
        changes.push(FieldChange { field, kind: ChangeKind::Added, old: None, new });
    }
}

/// Versions of each package; several may be installed side by side.
fn versions(packages: &[Package]) -> BTreeMap<&str, String> {
    let mut sets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        sets.entry(&package.name).or_default().insert(&package.version);
    }
    sets.into_iter().map(|(name, set)| (name, set.into_iter().collect::<Vec<_>>().join(", "))).collect()
}

fn packages(old: &[Package], new: &[Package], changes: &mut Vec<FieldChange>) {
    let (old, new) = (versions(old), versions(new));
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        let kind = match (before, after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            (Some(before), Some(after)) if before != after => ChangeKind::Changed,
            _ => continue,
        };
        let field = format!("package {name}");
        changes.push(FieldChange { field, kind, old: before.cloned(), new: after.cloned() });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn package(name: &str, version: &str) -> Package {
        Package { name: name.to_owned(), version: version.to_owned() }
    }

    fn file(path: &str, size_bytes: u64) -> WatchedFile {
        WatchedFile { path: path.to_owned(), size_bytes, mode: "0644".to_owned(), ..WatchedFile::default() }
    }

    fn listener(id: &str, user: &str) -> Listener {
        let addresses = vec!["0.0.0.0".to_owned()];
        Listener { id: id.to_owned(), user: user.to_owned(), addresses, ..Listener::default() }
    }

    fn host() -> Inventory {
        let mut host = Inventory { hostname: "web".to_owned(), ..Inventory::default() };
        host.hardware.memory_bytes = 8 << 30;
        host.disks.push(Disk { name: "sda".to_owned(), size_bytes: 100, ..Disk::default() });
        host.interfaces.push(Interface {
            name: "eth0".to_owned(),
            mac: "aa".to_owned(),
            addresses: vec!["10.0.0.2/24".to_owned()],
        });
        host.packages = vec![package("bash", "5.2"), package("openssl", "3.0.1")];
        host.files = Some(vec![file("/etc/my nginx", 5)]);
        host.listeners = Some(vec![listener("ssh-22", "root")]);
        host
    }

    #[test]
    fn each_kind_of_change_has_its_readable_path() {
        type Edit = fn(&mut Inventory);
        let table: [(Edit, &str, Option<&str>, Option<&str>); 13] = [
            (
                |h| h.listeners.as_mut().unwrap().push(listener("redis-6379", "redis")),
                "listener redis-6379",
                None,
                Some("addresses 0.0.0.0, user redis"),
            ),
            (
                |h| h.listeners.as_mut().unwrap()[0].user = "x".to_owned(),
                "listener ssh-22 user",
                Some("root"),
                Some("x"),
            ),
            (|h| h.hardware.memory_bytes = 1, "memory_bytes", Some("8589934592"), Some("1")),
            (|h| h.os.kernel = "6.12".to_owned(), "os kernel", Some(""), Some("6.12")),
            (|h| h.disks[0].size_bytes = 200, "disk sda size_bytes", Some("100"), Some("200")),
            (|h| h.disks.clear(), "disk sda", Some("size_bytes 100, rotational false"), None),
            (
                |h| h.interfaces[0].addresses.push("10.0.0.1/24".to_owned()),
                "interface eth0 addresses",
                Some("10.0.0.2/24"),
                Some("10.0.0.1/24 10.0.0.2/24"),
            ),
            (|h| h.packages[1].version = "3.0.2".to_owned(), "package openssl", Some("3.0.1"), Some("3.0.2")),
            (|h| drop(h.packages.remove(0)), "package bash", Some("5.2"), None),
            (|h| h.packages.push(package("curl", "8")), "package curl", None, Some("8")),
            (
                |h| {
                    let file = &mut h.files.as_mut().unwrap()[0];
                    (file.size_bytes, file.modified_ms) = (6, 1);
                },
                "file /etc/my nginx",
                Some("size_bytes 5, modified_ms 0"),
                Some("size_bytes 6, modified_ms 1"),
            ),
            (
                |h| h.files = Some(Vec::new()),
                "file /etc/my nginx",
                Some("size_bytes 5, modified_ms 0, file_mode 0644"),
                None,
            ),
            (|h| h.packages.push(package("bash", "5.3")), "package bash", Some("5.2"), Some("5.2, 5.3")),
        ];
        for (edit, field, old, new) in table {
            let mut after = host();
            edit(&mut after);
            let changes = diff(&host(), &after);
            assert_eq!(changes.len(), 1, "{field}: {changes:?}");
            assert_eq!(changes[0].field, field);
            assert_eq!((changes[0].old.as_deref(), changes[0].new.as_deref()), (old, new), "{field}");
        }
    }

    #[test]
    fn an_agent_that_does_not_tell_of_files_and_listeners_has_not_removed_them() {
        let silent = Inventory { files: None, listeners: None, ..host() };
        assert_eq!(diff(&host(), &silent), []);
        assert_eq!(diff(&silent, &host()), []);
    }

    #[test]
    fn what_is_watched_of_a_host_is_no_change_of_it() {
        let mut watched = host();
        let listener = &mut watched.listeners.as_mut().unwrap()[0];
        listener.watched = Some(siaga_protocol::inventory::WatchedBy::Console);
        listener.proposal = Some(siaga_protocol::inventory::Proposal::default());
        assert_eq!(diff(&host(), &watched), []);
    }

    prop_compose! {
        fn inventories()(
            hostname in "[ab]",
            memory in 0_u64..3,
            disks in prop::collection::vec(("[a-c]", 0_u64..3), 0..4),
            addresses in prop::collection::vec("[0-9]", 0..3),
            packages in prop::collection::vec(("[a-d]", "[12]"), 0..6),
            files in prop::collection::btree_map("[a-c]", 0_u64..3, 0..4),
        ) -> Inventory {
            let mut host = Inventory { hostname, ..Inventory::default() };
            host.hardware.memory_bytes = memory;
            // A kernel has one device of a name.
            let disks: BTreeMap<String, u64> = disks.into_iter().collect();
            host.disks =
                disks.into_iter().map(|(name, size_bytes)| Disk { name, size_bytes, ..Disk::default() }).collect();
            host.interfaces = vec![Interface { name: "eth0".to_owned(), mac: String::new(), addresses }];
            host.packages = packages.into_iter().map(|(name, version)| Package { name, version }).collect();
            host.files = Some(files.iter().map(|(path, size)| file(path, *size)).collect());
            host
        }
    }

    proptest! {
        #[test]
        fn the_order_of_a_report_does_not_matter(host in inventories()) {
            let mut turned = host.clone();
            turned.disks.reverse();
            turned.packages.reverse();
            turned.files.as_mut().unwrap().reverse();
            turned.interfaces[0].addresses.reverse();
            prop_assert_eq!(diff(&host, &turned), Vec::new());
        }

        #[test]
        fn turned_around_every_change_is_turned_around(a in inventories(), b in inventories()) {
            let mut back: Vec<FieldChange> = diff(&b, &a)
                .into_iter()
                .map(|change| FieldChange {
                    kind: match change.kind {
                        ChangeKind::Added => ChangeKind::Removed,
                        ChangeKind::Removed => ChangeKind::Added,
                        ChangeKind::Changed => ChangeKind::Changed,
                    },
                    field: change.field,
                    old: change.new,
                    new: change.old,
                })
                .collect();
            back.sort();
            let there = diff(&a, &b);
            prop_assert!(there.iter().all(|change| change.old != change.new));
            prop_assert_eq!(there, back);
        }
    }
}
