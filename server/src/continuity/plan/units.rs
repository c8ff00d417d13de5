//! The units that a plan names: whom an emergency of its service is told. Pure.

use serde::Deserialize;

use super::place::Problems;
use super::text::{check_text, http_url};

/// Units of one plan.
const MAX_UNITS: usize = 100;

/// A unit of the office, or an outside party.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// Who gets mail.
    pub email: Option<String>,
    /// What is called with a JSON body.
    pub webhook: Option<reqwest::Url>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnitText {
    pub(super) name: String,
    email: Option<String>,
    webhook: Option<String>,
}

pub(super) fn units(raw: Vec<UnitText>, problems: &mut Problems<'_>) -> Vec<Unit> {
    if raw.len() > MAX_UNITS {
        problems.add("unit", format!("more than {MAX_UNITS} units"));
    }
    let mut found = Vec::new();
    for (index, one) in raw.into_iter().enumerate() {
        let at = format!("unit[{index}]");
        check_text(problems, &format!("{at}.name"), &one.name);
        let is_address = |text: &String| {
            let parts: Vec<&str> = text.split('@').collect();
            matches!(parts[..], [name, domain] if !name.is_empty() && domain.contains('.'))
                && !text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ','))
        };
        if let Some(email) = one.email.as_ref().filter(|email| !is_address(email)) {
            problems.add(&format!("{at}.email"), format!("{email:?} is no mail address"));
        }
        if one.email.is_none() && one.webhook.is_none() {
            problems.add(&at, "state email, webhook or both: else nobody tells this unit");
        }
        let webhook = one.webhook.and_then(|text| http_url(problems, &format!("{at}.webhook"), &text));
        found.push(Unit { name: one.name, email: one.email, webhook });
    }
    found
}
