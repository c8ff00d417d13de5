//! What a plan's text says of approvals: how many people of which roles must have approved before a drill begins. Pure.

use std::time::Duration;

use serde::Deserialize;

use super::place::Problems;
use super::text::check_range;
use crate::access::{Right, Role, may};

/// People of one plan who must approve.
const MAX_APPROVERS: usize = 10;
/// How long an approval may hold.
const VALID: (Duration, Duration) = (Duration::from_secs(3_600), Duration::from_secs(90 * 86_400));
/// How long before a date a missing approval may be told.
const NOTICE: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(90 * 86_400));

/// Whose approval a drill of the plan needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// How many people must have approved.
    pub approvers: usize,
    /// Each of them has one of these roles.
    pub roles: Vec<Role>,
    /// The longest time for which one approval holds.
    pub valid: Duration,
    /// How long before a date of the schedule it is told that approvals are missing.
    pub notice: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalText {
    #[serde(default = "two")]
    approvers: usize,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default = "two_weeks", with = "humantime_serde")]
    valid: Duration,
    #[serde(default = "three_days", with = "humantime_serde")]
    notice: Duration,
}

/// Two people: what a service in production needs.
const fn two() -> usize {
    2
}

const fn two_weeks() -> Duration {
    Duration::from_secs(14 * 86_400)
}

const fn three_days() -> Duration {
    Duration::from_secs(3 * 86_400)
}

pub(super) fn approval(raw: Option<ApprovalText>, problems: &mut Problems<'_>) -> Option<Approval> {
    let raw = raw?;
    if raw.approvers == 0 || raw.approvers > MAX_APPROVERS {
        let why = "a plan that needs no approval has no [approval]";
        problems.add("approval.approvers", format!("is not 1 to {MAX_APPROVERS}; {why}"));
    }
    if raw.roles.is_empty() {
        problems.add("approval.roles", "missing: state at least one role that may approve");
    }
    let mut roles = Vec::new();
    for (index, code) in raw.roles.iter().enumerate() {
        let field = format!("approval.roles[{index}]");
        match Role::from_code(code) {
            None => problems.add(&field, format!("{code:?} is no role; one of {}", codes())),
            Some(role) if !may(&[role], Right::ApproveDrills) => {
                problems.add(&field, format!("{code} may not approve drills; one of {}", codes()));
            }
            Some(role) if roles.contains(&role) => problems.add(&field, format!("{code} stands there twice")),
            Some(role) => roles.push(role),
        }
    }
    check_range(problems, "approval.valid", raw.valid, VALID);
    check_range(problems, "approval.notice", raw.notice, NOTICE);
    Some(Approval { approvers: raw.approvers, roles, valid: raw.valid, notice: raw.notice })
}

/// Codes of the roles that may approve.
fn codes() -> String {
    let may_approve = Role::ALL.into_iter().filter(|role| may(&[*role], Right::ApproveDrills));
    may_approve.map(Role::code).collect::<Vec<_>>().join(", ")
}
