//! Approvals of drills: whether enough of the right people have approved, and giving and withdrawing one.
//!
//! Invariants: an approval is of the plan as its text stood, holds for one drill and until a time; two approvals of one
//! person count once; who asks for a drill is not its only approver.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::journal::hex;
use super::plan::{Approval, Plan};
use crate::access::{Role, UserPrincipal, new_id};
use crate::http::ApiError;
use crate::records::audit;
use crate::records::drill_approvals::{self, ApprovalRow};
use crate::records::rusqlite::Connection;
use crate::time::{Millis, millis};

/// Longest reason, characters.
const MAX_REASON: usize = 500;

/// An approval as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalNote {
    /// Who approved, as the audit trail names users.
    pub by: String,
    /// The same, for people.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Why.
    pub reason: String,
    /// When.
    pub given_at_ms: Millis,
}

impl From<&ApprovalRow> for ApprovalNote {
    fn from(row: &ApprovalRow) -> Self {
        Self {
            by: row.actor.clone(),
            name: row.name.clone(),
            role: row.role,
            reason: row.reason.clone(),
            given_at_ms: row.given_at_ms,
        }
    }
}

/// How it stands with the approvals of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// Approvals that hold, one a person.
    pub(super) holding: Vec<ApprovalRow>,
    /// How many people must have approved.
    pub(super) wanted: usize,
    /// Whether the one who asks is the only one who approved.
    pub(super) only_asker: bool,
}

impl Standing {
    /// Whether a drill may begin.
    pub(super) fn enough(&self) -> bool {
        self.holding.len() >= self.wanted && !self.only_asker
    }
}

/// Holds the approvals of a plan against what it needs. `asker` is who asks for the drill, as an actor.
pub(super) fn standing(approval: &Approval, rows: Vec<ApprovalRow>, asker: Option<&str>) -> Standing {
    let mut people = BTreeSet::new();
    let mut holding = rows;
    holding.retain(|row| approval.roles.contains(&row.role) && people.insert(row.user_id.clone()));
    let own = |row: &ApprovalRow| asker.is_some_and(|asker| asker == row.actor);
    let only_asker = !holding.is_empty() && holding.iter().all(own);
    Standing { holding, wanted: approval.approvers, only_asker }
}

/// SHA-256 of a plan's text.
pub(super) fn text_digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// The role in which a user may approve a plan.
pub(super) fn role_of(approval: &Approval, user: &UserPrincipal) -> Option<Role> {
    approval.roles.iter().copied().find(|role| user.roles.contains(role))
}

/// What somebody gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GiveBody {
    /// Why.
    pub(super) reason: String,
    /// Until when it holds; the longest time of the plan without it.
    #[serde(default)]
    pub(super) valid_until_ms: Option<Millis>,
}

/// Gives an approval of a plan with this text.
///
/// # Errors
/// If the plan needs none, the user has none of its roles, has approved already, or a field is wrong.
pub(super) fn give(
    db: &Connection,
    plan: &Plan,
    text: &str,
    user: &UserPrincipal,
    body: &GiveBody,
    now_ms: Millis,
) -> Result<ApprovalRow, ApiError> {
    let approval = plan.approval.as_ref().ok_or_else(|| ApiError::conflict("the plan needs no approval"))?;
    let role = role_of(approval, user)
        .ok_or_else(|| ApiError::forbidden("none of your roles is one that the plan names for approvals"))?;
    let reason = body.reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        return Err(
            ApiError::bad_request(format!("is empty or longer than {MAX_REASON} characters")).at("reason")
        );
    }
    let longest_ms = now_ms + millis(approval.valid);
    let valid_until_ms = body.valid_until_ms.unwrap_or(longest_ms);
    if valid_until_ms <= now_ms || valid_until_ms > longest_ms {
        let longest =
            jiff::Timestamp::from_millisecond(longest_ms).map_or_else(|_| String::new(), |at| at.to_string());
        let why = format!("does not lie between now and {longest}, the longest that the plan allows");
        return Err(ApiError::bad_request(why).at("valid_until_ms"));
    }
    let plan_sha256 = text_digest(text);
    let before = drill_approvals::holding(db, &plan.id, &plan_sha256, now_ms)?;
    if before.iter().any(|row| row.user_id == user.id) {
        return Err(ApiError::conflict("you have approved the next drill of this plan already"));
    }
    let row = ApprovalRow {
        id: new_id(),
        plan_id: plan.id.clone(),
        plan_sha256,
        user_id: user.id.clone(),
        actor: format!("user:{}", user.username),
        name: user.display_name.clone(),
        role,
        reason: reason.to_owned(),
        given_at_ms: now_ms,
        valid_until_ms,
        withdrawn_at_ms: None,
        drill_id: None,
    };
    drill_approvals::insert(db, &row)?;
    audit::add(db, now_ms, &row.actor, "plan.approve", &plan.id, reason)?;
    Ok(row)
}

/// Withdraws one's own approval.
///
/// # Errors
/// If it is not there, not one's own, or was used or withdrawn before.
pub(super) fn withdraw(
    db: &Connection,
    id: &str,
    user: &UserPrincipal,
    now_ms: Millis,
) -> Result<ApprovalRow, ApiError> {
    let row = drill_approvals::get(db, id)?.ok_or_else(|| ApiError::not_found(format!("approval {id}")))?;
    if row.user_id != user.id {
        return Err(ApiError::forbidden("only who approved can withdraw an approval"));
    }
    if !drill_approvals::withdraw(db, id, now_ms)? {
        return Err(ApiError::conflict("the approval was used or withdrawn already"));
    }
    audit::add(db, now_ms, &row.actor, "plan.withdraw", &row.plan_id, "")?;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(user: &str, role: Role) -> ApprovalRow {
        ApprovalRow {
            id: format!("{user}-{}", role.code()),
            plan_id: "p".to_owned(),
            plan_sha256: "x".to_owned(),
            user_id: user.to_owned(),
            actor: format!("user:{user}"),
            name: user.to_owned(),
            role,
            reason: "r".to_owned(),
            given_at_ms: 1,
            valid_until_ms: 9,
            withdrawn_at_ms: None,
            drill_id: None,
        }
    }

    #[test]
    fn enough_different_people_of_the_named_roles_are_needed_and_not_the_asker_alone() {
        use Role::{Helpdesk, KetuaLpse as Ketua, PengelolaRisiko as Risiko};
        for (approvers, given, asker, wanted) in [
            (2, vec![("a", Ketua), ("b", Risiko)], None, true),
            (2, vec![("a", Ketua), ("b", Risiko)], Some("user:a"), true),
            (2, vec![("a", Ketua), ("a", Risiko)], None, false),
            (2, vec![("a", Ketua), ("b", Helpdesk)], None, false),
            (1, vec![("a", Ketua)], Some("user:a"), false),
            (1, vec![("a", Ketua)], Some("user:b"), true),
            (1, vec![("a", Ketua)], None, true),
            (1, vec![], None, false),
        ] {
            let valid = Duration::from_secs(1);
            let approval = Approval { approvers, roles: vec![Ketua, Risiko], valid, notice: valid };
            let rows = given.iter().map(|(user, role)| row(user, *role)).collect();
            assert_eq!(standing(&approval, rows, asker).enough(), wanted, "{approvers} {given:?} {asker:?}");
        }
    }
}
