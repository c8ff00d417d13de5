//! Entries of the audit trail in words: who, what was done, to what, and the further facts. The codes and identifiers in
//! the records stay as they are, so that older rows are worded too.

use super::Page;
use crate::access::{Right, Role};
use crate::assets;
use crate::capacity;
use crate::http::encode_component;
use crate::records::audit::{self, Entry};
use crate::records::drills::{self, Drill};
use crate::records::rusqlite::Connection;
use crate::records::{self, hosts, users};

impl Page {
    /// A text of the catalogue if it has the key, else the code itself: records may hold codes of another version.
    #[must_use]
    pub fn t_or(&self, key: &str, code: &str) -> String {
        let text = self.t(key);
        if text == key { code.to_owned() } else { text }
    }

    /// Who did something: `user:ani`, `agent:web-01`, `siaga`, `siaga:cli`, `schedule`.
    #[must_use]
    pub fn actor(&self, actor: &str) -> String {
        match actor.split_once(':') {
            Some(("user", name)) => name.to_owned(),
            Some(("agent", instance)) => self.tv("audit.actor.agent", &[("instance", instance)]),
            Some(("siaga", _)) => self.t("audit.actor.cli"),
            Some(_) => actor.to_owned(),
            None if actor == "siaga" => self.t("console.title"),
            None => self.t_or(&format!("audit.actor.{actor}"), actor),
        }
    }
}

/// What was done, for example `user.create`.
pub(super) fn action(page: &Page, action: &str) -> String {
    page.t_or(&format!("audit.{action}"), action)
}

/// What an entry is about, looked up by what the row holds, which may be an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing {
    /// A drill.
    Drill(Box<Drill>),
    /// A host; only one in service has a page.
    Host {
        /// Its `instance` label.
        instance: String,
        /// Whether it is in service.
        in_service: bool,
    },
    /// An incident, by its number.
    Incident(String),
    /// An asset.
    Asset {
        /// Its code.
        code: String,
        /// Its name.
        name: String,
    },
    /// A proposal of capacity: its number, and what it is about if it is there.
    Proposal(i64, Option<capacity::ResourceKey>),
    /// A user.
    User(String),
    /// Something without a page.
    Other(String),
}

/// Finds what an entry is about.
pub(super) fn thing(db: &Connection, entry: &Entry) -> records::Result<Thing> {
    let subject = || entry.subject.clone();
    let found = match entry.action.split('.').next().unwrap_or_default() {
        "drill" => drills::get(db, &entry.subject)?.map(|drill| Thing::Drill(Box::new(drill))),
        "host" => match hosts::name_of(db, &entry.subject)? {
            Some((instance, in_service)) => Some(Thing::Host { instance, in_service }),
            // Some entries hold the name itself.
            None => {
                let in_service = hosts::by_instance(db, &entry.subject)?.is_some();
                Some(Thing::Host { instance: subject(), in_service })
            }
        },
        "incident" => Some(Thing::Incident(subject())),
        "asset" => records::assets::by_code(db, &entry.subject)?
            .map(|asset| Thing::Asset { name: asset.display_name().to_owned(), code: asset.code }),
        "proposal" => match entry.subject.parse::<i64>() {
            Ok(id) => {
                let proposal = records::capacity_proposals::get(db, id)?;
                Some(Thing::Proposal(id, proposal.map(|proposal| proposal.draft.key)))
            }
            Err(_) => None,
        },
        "user" | "session" => users::by_username(db, &entry.subject)?.map(|_| Thing::User(subject())),
        "token" if entry.action == "token.delete" => audit::token_name(db, &entry.subject)?.map(Thing::Other),
        _ => None,
    };
    Ok(found.unwrap_or_else(|| Thing::Other(subject())))
}

/// The name of a thing, and the address of its page if there is one that the reader may open.
pub(super) fn subject(page: &Page, thing: &Thing) -> (String, Option<String>) {
    let link = |right, address: String| page.may(right).then_some(address);
    match thing {
        Thing::Drill(drill) => {
            let name = crate::continuity::plan_name(page, drill);
            let text = format!("{} {}: {name}", page.t("continuity.drill"), drill.number);
            (text, link(Right::ViewContinuity, format!("/kelangsungan/latihan/{}", drill.id)))
        }
        Thing::Host { instance, in_service } => {
            let address = format!("/server/{}", encode_component(instance));
            (instance.clone(), link(Right::ViewServers, address).filter(|_| *in_service))
        }
        Thing::Incident(number) => {
            let address = format!("/insiden/{}", encode_component(number));
            (number.clone(), link(Right::ViewIncidents, address))
        }
        Thing::Asset { code, name } => {
            let address = format!("/aset/{}", encode_component(code));
            (format!("{code} · {name}"), link(Right::ViewAssets, address))
        }
        Thing::Proposal(id, key) => {
            let name = key.as_ref().map(|key| capacity::plan_pages::component_name(page, key));
            let text = format!("{} {id}: {}", page.t("capacity.proposal"), name.unwrap_or_default());
            (text, link(Right::ViewCapacity, capacity::plan_pages::proposal_address(*id)))
        }
        Thing::User(name) => {
            let address = format!("/pengguna/{}", encode_component(name));
            (name.clone(), link(Right::ManageAccess, address))
        }
        Thing::Other(text) => (text.clone(), None),
    }
}

/// The further facts of an entry.
pub(super) fn detail(page: &Page, action: &str, detail: &str) -> String {
    if detail.is_empty() {
        return String::new();
    }
    match action {
        "user.create" | "user.roles" if detail != "first start" => listed(detail, |code| {
            Role::from_code(code).map_or_else(|| code.to_owned(), |role| super::users::role_name(page, role))
        }),
        "asset.enter" => listed(detail, |field| assets::words::field(page, "entered", field)),
        "asset.create" => page.t_or(&format!("assets.class.{detail}"), detail),
        // They only say again, in codes, what the entry is about.
        "drill.start" | "token.create" => String::new(),
        "capacity_report.send" => page.tv("audit.detail.recipients", &[("count", detail)]),
        "capacity_report.write" => page.t_or(&format!("capacity.report.section.{detail}"), detail),
        "drill.end" => page.t_or(&format!("continuity.status.{detail}"), detail),
        "host.enrol" | "host.enrol.again" => page.tv("audit.detail.agent_version", &[("version", detail)]),
        "host.enrol.refuse" => {
            let name = detail.strip_prefix("as ").unwrap_or(detail);
            page.tv("audit.detail.as", &[("name", name)])
        }
        _ => page.t_or(&format!("audit.detail.{}", detail.replace(' ', "_")), detail),
    }
}

fn listed(codes: &str, word: impl Fn(&str) -> String) -> String {
    codes.split(',').map(|code| word(code.trim())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{Language, TimeZoneName};
    use crate::incidents::EventKind;

    fn pages() -> [Page; 2] {
        [Language::Indonesian, Language::English]
            .map(|language| Page::detached(language, "LPSE", TimeZoneName::default(), false))
    }

    /// Every literal of the sources that has the shape of an action: `user.create`.
    fn actions() -> BTreeSet<String> {
        const SUBJECTS: [&str; 16] = [
            "asset",
            "capacity_report",
            "component",
            "drill",
            "enrol_token",
            "forecast",
            "host",
            "incident",
            "known_event",
            "plan",
            "proposal",
            "series",
            "service",
            "session",
            "token",
            "user",
        ];
        let sources =
            super::super::texts::files(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "rs");
        let mut found: BTreeSet<String> =
            EventKind::ALL.iter().map(|kind| format!("incident.{}", kind.code())).collect();
        for (_, text) in &sources {
            for literal in text.split('"') {
                let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
                let subject = literal.split_once('.').map_or("", |(subject, _)| subject);
                if SUBJECTS.contains(&subject) && literal.chars().all(plain) && !literal.ends_with('.') {
                    found.insert(literal.to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn every_action_that_is_written_down_has_its_words() {
        let actions = actions();
        assert!(actions.len() > 25 && actions.contains("user.disable"), "{actions:?}");
        for page in pages() {
            let without: Vec<_> = actions.iter().filter(|code| action(&page, code) == **code).collect();
            assert!(without.is_empty(), "{without:?}");
        }
        assert_eq!(action(&pages()[0], "from.later"), "from.later");
    }

    #[test]
    fn facts_are_said_in_the_language_of_the_reader() {
        let [id, en] = pages();
        for (action, stored, indonesian, english) in [
            ("user.create", "first start", "penyalaan pertama", "first start"),
            ("user.roles", "helpdesk, ketua_lpse", "Helpdesk, Ketua LPSE", "Helpdesk, Head of the LPSE"),
            ("user.password", "reset", "diatur ulang", "made anew"),
            ("drill.end", "passed", "Berhasil", "Passed"),
            ("asset.enter", "owner, note", "Pemilik Aset, Keterangan", "Asset owner, Note"),
            ("asset.create", "layanan", "Layanan", "Service"),
            ("host.enrol", "0.1.0", "agen versi 0.1.0", "agent version 0.1.0"),
            ("drill.start", "lab-alih-layanan", "", ""),
            ("token.create", "9f1c", "", ""),
        ] {
            assert_eq!(
                (detail(&id, action, stored), detail(&en, action, stored)),
                (indonesian.to_owned(), english.to_owned())
            );
        }
        assert_eq!(id.actor("agent:web-01"), "Agen web-01");
        assert_eq!(en.actor("user:ani"), "ani");
        assert_eq!(id.actor("schedule"), "jadwal");
    }

    #[test]
    fn what_an_entry_is_about_is_named_and_not_shown_as_an_identifier() {
        let folder = tempfile::tempdir().unwrap();
        let records = records::Records::open(folder.path()).unwrap();
        let entry = |action: &str, subject: &str, detail: &str| Entry {
            at_ms: 1,
            actor: "siaga".to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_owned(),
        };
        let drill = Drill { id: "d1".to_owned(), plan_name: "Alih layanan".to_owned(), ..Drill::default() };
        let host = hosts::Host {
            id: "h1".to_owned(),
            instance: "web-01".to_owned(),
            machine_id: "m".to_owned(),
            hostname: "web-01".to_owned(),
            agent_version: "1".to_owned(),
            interval_seconds: 15,
            enrolled_at_ms: 1,
            started_at_ms: None,
            last_seen_ms: None,
            actions: Vec::new(),
        };
        let entries = [
            entry("drill.start", "d1", "p"),
            entry("host.enrol", "h1", "0.1.0"),
            entry("token.delete", "t1", ""),
            entry("incident.taken", "G-2026-0001", ""),
            entry("host.retire", "gone-01", ""),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let things = runtime.block_on(records.run(move |db| {
            drills::insert(db, &drill)?;
            hosts::insert(db, &host, "hash")?;
            audit::add(db, 1, "user:ani", "token.create", "laporan", "t1")?;
            entries.iter().map(|entry| thing(db, entry)).collect::<records::Result<Vec<_>>>()
        }));
        let page = &pages()[0];
        let names: Vec<String> = things.unwrap().iter().map(|thing| subject(page, thing).0).collect();
        assert_eq!(names, ["Uji coba 1: Alih layanan", "web-01", "laporan", "G-2026-0001", "gone-01"]);
    }
}
