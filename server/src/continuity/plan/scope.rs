//! The scope of service continuity (`lingkup.toml` in the folder of plans): services with their business impact analysis,
//! scenarios, teams, contacts and procedures. Pure.
//!
//! Invariant: a [`Scope`] exists only after every check has passed: what one part names, another one defines, and no
//! service is promised back later than its longest bearable disruption.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::PlanProblem;
use super::place::Problems;
use super::shape;
use super::text::{check_id, check_text};

/// Name of its file.
pub const SCOPE_FILE: &str = "lingkup.toml";
/// Entries of one list.
const MAX_ENTRIES: usize = 500;

/// The whole scope.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// Services.
    pub service: Vec<Service>,
    /// What may happen to them.
    pub scenario: Vec<Scenario>,
    /// Teams.
    pub team: Vec<Team>,
    /// Who is called.
    pub contact: Vec<Contact>,
    /// What is done.
    pub procedure: Vec<Procedure>,
    /// How often is exercised.
    pub frequency: Frequency,
}

/// A service and what its absence brings about.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Identifier.
    pub id: String,
    /// Name.
    pub name: String,
    /// Longest bearable disruption (MTPD).
    #[serde(with = "humantime_serde")]
    pub mtpd: Duration,
    /// Recovery time objective.
    #[serde(with = "humantime_serde")]
    pub rto: Duration,
    /// Recovery point objective.
    #[serde(with = "humantime_serde")]
    pub rpo: Duration,
    /// Risk of its absence.
    pub risk: Risk,
    /// Hosts and other components that must be highly available.
    #[serde(default)]
    pub components: Vec<String>,
    /// What it depends on.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// When its absence hurts most.
    #[serde(default)]
    pub critical_periods: Vec<String>,
    /// What its absence brings about.
    #[serde(default)]
    pub impact: Impact,
}

/// What the absence of a service brings about, by its length.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Impact {
    pub one_hour: String,
    pub four_hours: String,
    pub one_day: String,
    pub three_days: String,
}

/// Levels of risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    Low,
    Medium,
    High,
}

impl Risk {
    /// Code in the catalogue of texts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What may happen.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Identifier.
    pub id: String,
    /// Name.
    pub name: String,
    /// Kind of threat.
    pub threat: Threat,
    /// Services that it hits.
    pub services: Vec<String>,
    /// What tells that it has happened.
    #[serde(default)]
    pub trigger: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// Procedure against it.
    pub procedure: Option<String>,
}

/// Kinds of threats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Threat {
    ServerLost,
    DiskFull,
    DatabaseLost,
    SiteLost,
    LinkLost,
    DataDeleted,
    CertificateExpired,
    PowerLost,
    Attack,
    Other,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Name.
    pub name: String,
    /// Members.
    #[serde(default)]
    pub members: Vec<Contact>,
}

/// Somebody who is called.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Name.
    pub name: String,
    /// Role, or what the party is: LKPP, ISP, PLN.
    #[serde(default)]
    pub role: String,
    /// Telephone.
    #[serde(default)]
    pub phone: String,
    /// Mail.
    #[serde(default)]
    pub email: String,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Procedure {
    /// Identifier.
    pub id: String,
    /// Name.
    pub name: String,
    /// Steps in order.
    pub steps: Vec<String>,
    /// When it was looked at last.
    pub reviewed: Option<String>,
}

/// The longest time between two exercises, by risk.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Frequency {
    #[serde(with = "humantime_serde")]
    pub high: Duration,
    #[serde(with = "humantime_serde")]
    pub medium: Duration,
    #[serde(with = "humantime_serde")]
    pub low: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Frequency {
    fn default() -> Self {
        Self { high: DAY * 92, medium: DAY * 183, low: DAY * 366 }
    }
}

impl Frequency {
    /// The longest time between two exercises of a service.
    #[must_use]
    pub fn of(&self, risk: Risk) -> Duration {
        match risk {
            Risk::High => self.high,
            Risk::Medium => self.medium,
            Risk::Low => self.low,
        }
    }
}

impl Scope {
    /// Reads and checks the scope; `file` is only used in problems.
    ///
    /// # Errors
    /// What is wrong, in the order of the text.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<PlanProblem>> {
        let syntax = shape::syntax_problems(file, text);
        if !syntax.is_empty() {
            return Err(syntax);
        }
        let table = DeTable::parse(text).unwrap_or_else(|_| Spanned::new(0..0, DeTable::new()));
        let mut problems = Problems::new(file, text, &table);
        let value = text.parse::<toml::Table>().map(toml::Value::Table);
        let read = value.ok().map(serde_path_to_error::deserialize::<_, Self>);
        let scope = match read {
            Some(Ok(scope)) => scope,
            Some(Err(error)) => {
                let path = error.path().to_string();
                let reason = error.inner().message().lines().collect::<Vec<_>>().join(" ");
                problems.add(if path == "." { "" } else { &path }, reason);
                return Err(problems.into_sorted().0);
            }
            None => return Err(problems.into_sorted().0),
        };
        scope.check(&mut problems);
        let (found, _) = problems.into_sorted();
        if found.is_empty() { Ok(scope) } else { Err(found) }
    }

    fn check(&self, problems: &mut Problems<'_>) {
        for (list, length) in [
            ("service", self.service.len()),
            ("scenario", self.scenario.len()),
            ("team", self.team.len()),
            ("contact", self.contact.len()),
            ("procedure", self.procedure.len()),
        ] {
            if length > MAX_ENTRIES {
                problems.add(list, format!("more than {MAX_ENTRIES} entries"));
            }
        }
        unique("service", self.service.iter().map(|one| (&one.id, &one.name)), problems);
        unique("scenario", self.scenario.iter().map(|one| (&one.id, &one.name)), problems);
        unique("procedure", self.procedure.iter().map(|one| (&one.id, &one.name)), problems);
        for (index, one) in self.service.iter().enumerate() {
            let at = format!("service[{index}]");
            if one.rto.is_zero() {
                problems.add(&format!("{at}.rto"), "a recovery time of zero cannot be met");
            } else if one.rto > one.mtpd {
                problems.add(&format!("{at}.rto"), "is longer than mtpd, the longest bearable disruption");
            }
            if !self.scenario.iter().any(|scenario| scenario.services.contains(&one.id)) {
                problems
                    .add(&format!("{at}.id"), "no scenario hits this service, so nothing is planned for it");
            }
        }
        let services: BTreeSet<&String> = self.service.iter().map(|one| &one.id).collect();
        let procedures: BTreeSet<&String> = self.procedure.iter().map(|one| &one.id).collect();
        for (index, one) in self.scenario.iter().enumerate() {
            let at = format!("scenario[{index}]");
            for (place, id) in one.services.iter().enumerate().filter(|(_, id)| !services.contains(id)) {
                problems
                    .add(&format!("{at}.services[{place}]"), format!("{id:?} is no service of this file"));
            }
            if let Some(id) = one.procedure.as_ref().filter(|id| !procedures.contains(id)) {
                problems.add(&format!("{at}.procedure"), format!("{id:?} is no procedure of this file"));
            }
        }
        for (index, one) in self.procedure.iter().enumerate() {
            let at = format!("procedure[{index}]");
            if one.steps.is_empty() {
                problems.add(&format!("{at}.steps"), "is empty");
            }
            if let Some(text) = one.reviewed.as_ref().filter(|text| text.parse::<Date>().is_err()) {
                problems.add(&format!("{at}.reviewed"), format!("{text:?} is no date (2026-12-24)"));
            }
        }
    }
}

fn unique<'a>(
    list: &str,
    entries: impl Iterator<Item = (&'a String, &'a String)>,
    problems: &mut Problems<'_>,
) {
    let mut known = BTreeSet::new();
    for (index, (id, name)) in entries.enumerate() {
        check_id(problems, &format!("{list}[{index}].id"), id);
        check_text(problems, &format!("{list}[{index}].name"), name);
        if !known.insert(id) {
            problems
                .add(&format!("{list}[{index}].id"), format!("{id:?} is the id of an earlier one as well"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../../../deploy/plans/lingkup.toml");

    fn problems(text: &str) -> Vec<String> {
        Scope::read("lingkup.toml", text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_shipped_scope_is_good() {
        let scope = Scope::read("lingkup.toml", GOOD).unwrap();
        assert!(!scope.service.is_empty() && !scope.scenario.is_empty() && !scope.procedure.is_empty());
        assert_eq!(scope.frequency.of(Risk::High), DAY * 92);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_field() {
        for (good, bad, wanted) in [
            ("rto = \"4h\"", "rto = \"0s\"", "service[0].rto: a recovery time of zero"),
            ("rto = \"4h\"", "rto = \"9days\"", "service[0].rto: is longer than mtpd"),
            ("services = [\"spse\"]", "services = [\"sps\"]", "is no service of this file"),
            ("procedure = \"alih-basis-data\"", "procedure = \"x\"", "\"x\" is no procedure of this file"),
            ("risk = \"high\"", "risk = \"huge\"", "service[0].risk: unknown variant `huge`"),
            ("id = \"spse\"", "id = \"SPSE 1\"", "service[0].id: \"SPSE 1\" is not"),
        ] {
            assert!(GOOD.contains(good), "{good}");
            let found = problems(&GOOD.replacen(good, bad, 1));
            let line = 1 + GOOD.lines().position(|line| line.contains(good)).unwrap();
            let placed =
                |one: &String| one.starts_with(&format!("lingkup.toml:{line}:")) && one.contains(wanted);
            assert!(found.iter().any(placed), "{wanted} at {line}: {found:?}");
        }
    }
}
