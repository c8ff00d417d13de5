//! Entries of the audit trail in words: who, what was done, and the further facts. The codes in the records stay as they
//! are, so that older rows are worded too. Pure.

use super::Page;
use crate::access::Role;
use crate::assets;

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
        const SUBJECTS: [&str; 9] =
            ["asset", "drill", "enrol_token", "forecast", "host", "incident", "session", "token", "user"];
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
            ("drill.start", "lab-alih-layanan", "lab-alih-layanan", "lab-alih-layanan"),
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
}
