//! The history of an asset in words. Rows keep codes and plain figures, so that the history can be compared and rows of
//! any age are shown in the reader's language. Pure.

use crate::console::Page;

/// Parts of a host that have names of their own, as `diff` writes them.
const PARTS: [&str; 5] = ["disk", "filesystem", "interface", "file", "listener"];
/// Fields of such parts.
const PART_FIELDS: [&str; 15] = [
    "size_bytes",
    "model",
    "rotational",
    "device",
    "fstype",
    "mac",
    "addresses",
    "mountpoint",
    "modified_ms",
    "sha256",
    "file_mode",
    "file_owner",
    "process",
    "user",
    "banner",
];
/// Parts whose change is one row, with all that differs.
const WHOLE: [&str; 2] = ["package", "file"];
/// Characters of a hash that are shown; all of it is in the API.
const HASH_SHOWN: usize = 12;

/// Name of a changed field: `disk sda size_bytes` becomes `Diska sda: Ukuran`.
pub(crate) fn field(page: &Page, kind: &str, field: &str) -> String {
    let named = |code: &str| page.t_or(&format!("assets.field.{}", code.replace(' ', "_")), code);
    let Some((part, rest)) =
        field.split_once(' ').filter(|(part, _)| PARTS.contains(part) || *part == "package")
    else {
        return named(field);
    };
    match rest.rsplit_once(' ') {
        Some((name, last)) if kind == "changed" && !WHOLE.contains(&part) && PART_FIELDS.contains(&last) => {
            format!("{} {name}: {}", named(part), named(last))
        }
        _ => format!("{} {rest}", named(part)),
    }
}

/// The value of a field before or after a change.
pub(crate) fn value(page: &Page, kind: &str, field: &str, value: Option<&str>) -> String {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return "–".to_owned() };
    match kind {
        "first_seen" => first_seen(page, value),
        "state" => page.t_or(&format!("assets.state.{value}"), value),
        "entered" if matches!(field, "confidentiality" | "integrity" | "availability") => {
            page.t_or(&format!("assets.level.{value}"), value)
        }
        "added" | "removed" if PARTS.iter().any(|part| field.starts_with(part)) => summary(page, value),
        "changed" if field.starts_with("file ") => summary(page, value),
        _ => one(page, field.rsplit(' ').next().unwrap_or(field), value),
    }
}

/// One value by the code of its field.
fn one(page: &Page, code: &str, value: &str) -> String {
    match (code, value) {
        ("size_bytes" | "memory_bytes", bytes) => {
            bytes.parse().map_or_else(|_| bytes.to_owned(), |bytes: f64| page.bytes(bytes))
        }
        ("modified_ms", at) => at.parse().map_or_else(|_| at.to_owned(), |at| page.datetime_seconds(at)),
        ("sha256", hash) => hash.chars().take(HASH_SHOWN).collect(),
        ("rotational", "true") => page.t("word.yes"),
        ("rotational", "false") => page.t("word.no"),
        _ => value.to_owned(),
    }
}

/// `size_bytes 100, model X, rotational false`: a value may hold commas, a field's code begins each piece.
fn summary(page: &Page, text: &str) -> String {
    let mut pieces: Vec<(&str, String)> = Vec::new();
    for piece in text.split(", ") {
        match (piece.split_once(' ').filter(|(code, _)| PART_FIELDS.contains(code)), pieces.last_mut()) {
            (Some((code, value)), _) => pieces.push((code, value.to_owned())),
            (None, Some((_, value))) => *value = format!("{value}, {piece}"),
            (None, None) => return text.to_owned(),
        }
    }
    let words = pieces
        .iter()
        .map(|(code, value)| format!("{} {}", field(page, "added", code), one(page, code, value)));
    words.collect::<Vec<_>>().join(", ")
}

/// `web-01: Debian GNU/Linux 13, 2 disks, 27 packages`.
fn first_seen(page: &Page, text: &str) -> String {
    let read = || {
        let (rest, packages) = text.strip_suffix(" packages")?.rsplit_once(", ")?;
        let (host, disks) = rest.strip_suffix(" disks")?.rsplit_once(", ")?;
        Some(page.tv("assets.first_seen_value", &[("host", host), ("disks", disks), ("packages", packages)]))
    };
    read().unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use siaga_protocol::inventory::{Disk, Filesystem, Interface, Inventory, Listener, Package, WatchedFile};

    use super::*;
    use crate::assets::{Entered, diff};
    use crate::config::{Language, TimeZoneName};

    fn pages() -> [Page; 2] {
        [Language::Indonesian, Language::English]
            .map(|language| Page::detached(language, "LPSE", TimeZoneName::default(), false))
    }

    /// Two inventories that differ in every field.
    fn inventories() -> [Inventory; 2] {
        ["1", "2"].map(|n| {
            let mut host = Inventory { hostname: n.into(), machine_id: n.into(), ..Inventory::default() };
            (host.os.name, host.os.version, host.os.kernel, host.os.architecture) =
                (n.into(), n.into(), n.into(), n.into());
            let hardware = &mut host.hardware;
            (hardware.vendor, hardware.product, hardware.cpu_model, hardware.virtualization) =
                (n.into(), n.into(), n.into(), n.into());
            (hardware.cpu_count, hardware.memory_bytes) = (n.parse().unwrap(), n.parse().unwrap());
            for name in ["same", n] {
                host.disks.push(Disk {
                    name: name.into(),
                    size_bytes: n.parse().unwrap(),
                    model: n.into(),
                    rotational: n == "1",
                });
                host.filesystems.push(Filesystem {
                    mountpoint: format!("/{name} with space"),
                    device: n.into(),
                    fstype: n.into(),
                    size_bytes: n.parse().unwrap(),
                });
                host.interfaces.push(Interface {
                    name: name.into(),
                    mac: n.into(),
                    addresses: vec![n.into()],
                });
                host.packages.push(Package { name: name.into(), version: n.into() });
                host.listeners.get_or_insert_default().push(Listener {
                    id: format!("ssh-{name}"),
                    addresses: vec![n.into()],
                    process: n.into(),
                    user: n.into(),
                    banner: n.into(),
                    ..Listener::default()
                });
                host.files.get_or_insert_default().push(WatchedFile {
                    path: format!("/etc/{name}"),
                    sha256: n.into(),
                    ..WatchedFile::default()
                });
            }
            host
        })
    }

    #[test]
    fn every_field_that_an_agent_or_a_person_can_change_has_its_words() {
        let [old, new] = inventories();
        let changes = diff(&old, &new);
        assert!(changes.len() > 25);
        let filled = Entered {
            name: "a".into(),
            sub_class: "a".into(),
            owner: "a".into(),
            custodian: "a".into(),
            location: "a".into(),
            supplier: "a".into(),
            confidentiality: Some(1),
            integrity: Some(2),
            availability: Some(3),
            valid_until: "2027-01-01".into(),
            note: "a".into(),
        };
        let entered = Entered::default().changes(&filled);
        assert_eq!(entered.len(), 11);
        let entered = entered.into_iter().map(|change| ("entered", change.field));
        let all = changes.into_iter().map(|change| (change.kind.code(), change.field)).chain(entered);
        for (kind, code) in all.chain([("first_seen", "inventory".to_owned()), ("state", "state".to_owned())])
        {
            for page in pages() {
                let words = field(&page, kind, &code);
                assert!(words != code && !words.contains('_'), "{kind} {code}: {words}");
            }
        }
    }

    #[test]
    fn rows_are_said_in_the_language_of_the_reader() {
        let [id, en] = pages();
        for (kind, code, stored, indonesian, english) in [
            (
                "first_seen",
                "inventory",
                "w: Debian 13, 2 disks, 27 packages",
                "w: Debian 13, 2 diska, 27 paket",
                "w: Debian 13, disks: 2, packages: 27",
            ),
            (
                "added",
                "disk sda",
                "size_bytes 1024, model A, B, rotational false",
                "Ukuran 1,0 KiB, Model A, B, Berputar Tidak",
                "Size 1.0 KiB, Model A, B, Rotational No",
            ),
            (
                "changed",
                "file /etc/the sha256",
                "size_bytes 2048, modified_ms 0, sha256 0123456789abcdef, file_mode 0644, file_owner a:b",
                "Ukuran 2,0 KiB, Diubah 1 Januari 1970 pukul 07.00.00,000 WIB, SHA-256 0123456789ab, Izin 0644, Milik a:b",
                "Size 2.0 KiB, Modified 1 January 1970 07:00:00.000 WIB, SHA-256 0123456789ab, Mode 0644, Owner a:b",
            ),
            ("changed", "memory_bytes", "2048", "2,0 KiB", "2.0 KiB"),
            ("changed", "disk sda size_bytes", "2048", "2,0 KiB", "2.0 KiB"),
            ("changed", "package openssl", "3.0.1", "3.0.1", "3.0.1"),
            ("entered", "integrity", "2", "2 Sedang", "2 Medium"),
            ("state", "state", "retired", "Tidak digunakan", "Retired"),
            ("changed", "os kernel", "", "–", "–"),
        ] {
            let said = [&id, &en].map(|page| value(page, kind, code, Some(stored)));
            assert_eq!(said, [indonesian, english], "{kind} {code}");
        }
        assert_eq!(
            field(&id, "changed", "filesystem /srv data size_bytes"),
            "Sistem berkas /srv data: Ukuran"
        );
        assert_eq!(field(&en, "changed", "package model"), "Package model");
        assert_eq!(field(&en, "changed", "file /etc/the sha256"), "File /etc/the sha256");
    }
}
