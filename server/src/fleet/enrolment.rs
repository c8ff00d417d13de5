//! Enrolment: a one-time token becomes an agent's own token.

use std::time::Duration;

use siaga_protocol::agent_api::{EnrolRequest, EnrolResponse};

use crate::access::{hash_secret, new_id, new_secret};
use crate::records::rusqlite::Connection;
use crate::records::{Records, RecordsError, audit, hosts, tokens};
use crate::time::{Millis, millis};

/// Longest host name or machine identity that is accepted, bytes.
const MAX_NAME_BYTES: usize = 253;

/// Whether a text can stand in labels, paths and lists as it is: a host name (RFC 1123 and the underscore), a version.
#[must_use]
pub fn is_plain_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text.chars().any(|c| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c))
}

/// Why a host is not enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The token is not good.
    #[error("the enrolment token is not known, was used before or has expired")]
    BadToken,
    /// A field is not acceptable.
    #[error(
        "{field} must have 1 to {MAX_NAME_BYTES} characters of A-Z, a-z, 0-9, dot, dash, underscore, plus"
    )]
    BadField {
        /// Which.
        field: &'static str,
    },
    /// There are as many hosts as configured.
    #[error("there are {0} hosts, which is the configured limit fleet.max_hosts")]
    TooManyHosts(usize),
    /// The records failed.
    #[error("cannot record the enrolment")]
    Records(#[from] RecordsError),
}

/// Makes a one-time token and gives its secret.
///
/// # Errors
/// If the records cannot be written.
pub fn new_enrol_token(
    records: &Records,
    valid: Duration,
    actor: &str,
    now_ms: Millis,
) -> Result<String, RecordsError> {
    let secret = new_secret("enrol");
    records.transaction(|db| {
        tokens::insert_enrol_token(db, &hash_secret(&secret), now_ms, now_ms + millis(valid))?;
        audit::add(db, now_ms, actor, "enrol_token.create", "", "")
    })?;
    Ok(secret)
}

/// Enrols a host, or gives a known one a new token. All in the caller's transaction.
///
/// # Errors
/// Why the host is not enrolled; nothing is changed then.
pub fn enrol(
    db: &Connection,
    request: &EnrolRequest,
    order_key: String,
    max_hosts: usize,
    now_ms: Millis,
) -> Result<EnrolResponse, EnrolError> {
    for (field, value) in [
        ("hostname", &request.hostname),
        ("machine_id", &request.machine_id),
        ("agent_version", &request.agent_version),
    ] {
        if !is_plain_name(value) {
            return Err(EnrolError::BadField { field });
        }
    }
    let agent_token = new_secret("agent");
    let token_hash = hash_secret(&agent_token);
    let known = hosts::known_installation(db, &request.machine_id)?;
    let host_id = known.as_ref().map_or_else(new_id, |(id, _)| id.clone());
    if !tokens::use_enrol_token(db, &hash_secret(&request.token), &host_id, now_ms)? {
        return Err(EnrolError::BadToken);
    }
    let instance = if let Some((id, instance)) = known {
        hosts::enrol_again(db, &id, &request.hostname, &request.agent_version, &token_hash)?;
        instance
    } else {
        let count = hosts::count(db)?;
        if count >= max_hosts {
            return Err(EnrolError::TooManyHosts(count));
        }
        let host = hosts::Host {
            id: host_id.clone(),
            instance: free_instance(db, &request.hostname)?,
            machine_id: request.machine_id.clone(),
            hostname: request.hostname.clone(),
            agent_version: request.agent_version.clone(),
            interval_seconds: 15,
            enrolled_at_ms: now_ms,
            started_at_ms: None,
            last_seen_ms: None,
            actions: Vec::new(),
        };
        hosts::insert(db, &host, &token_hash)?;
        host.instance
    };
    audit::add(db, now_ms, &format!("agent:{instance}"), "host.enrol", &host_id, &request.agent_version)?;
    Ok(EnrolResponse { host_id, instance, agent_token, order_key })
}

/// The host name, or with a number behind it where another host has that name.
fn free_instance(db: &Connection, hostname: &str) -> Result<String, RecordsError> {
    let mut instance = hostname.to_owned();
    let mut number = 2;
    while hosts::instance_taken(db, &instance)? {
        instance = format!("{hostname}-{number}");
        number += 1;
    }
    Ok(instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(token: &str, hostname: &str, machine_id: &str) -> EnrolRequest {
        EnrolRequest {
            token: token.to_owned(),
            hostname: hostname.to_owned(),
            machine_id: machine_id.to_owned(),
            agent_version: "1".to_owned(),
        }
    }

    fn try_enrol(
        records: &Records,
        request: &EnrolRequest,
        now_ms: Millis,
    ) -> Result<EnrolResponse, EnrolError> {
        records.transaction(|db| enrol(db, request, "key".to_owned(), 2, now_ms))
    }

    #[test]
    fn a_token_enrols_one_host_once_and_not_after_its_time() {
        let records = Records::in_memory().unwrap();
        let token = new_enrol_token(&records, Duration::from_secs(1), "user:a", 0).unwrap();
        let late = new_enrol_token(&records, Duration::from_secs(1), "user:a", 0).unwrap();
        assert_eq!(try_enrol(&records, &request(&token, "web", "m1"), 999).unwrap().instance, "web");
        assert!(matches!(try_enrol(&records, &request(&token, "db", "m2"), 999), Err(EnrolError::BadToken)));
        assert!(matches!(try_enrol(&records, &request(&late, "db", "m2"), 1_000), Err(EnrolError::BadToken)));
        assert!(matches!(try_enrol(&records, &request("x", "db", "m2"), 1), Err(EnrolError::BadToken)));
    }

    #[test]
    fn a_known_installation_keeps_its_identity_and_a_namesake_gets_another_name() {
        let records = Records::in_memory().unwrap();
        let token = || new_enrol_token(&records, Duration::from_secs(9), "user:a", 0).unwrap();
        let first = try_enrol(&records, &request(&token(), "web", "m1"), 1).unwrap();
        let again = try_enrol(&records, &request(&token(), "web-new", "m1"), 2).unwrap();
        assert_eq!((&again.host_id, &again.instance), (&first.host_id, &first.instance));
        assert_ne!(again.agent_token, first.agent_token);
        let namesake = try_enrol(&records, &request(&token(), "web", "m2"), 3).unwrap();
        assert_eq!(namesake.instance, "web-2");
    }

    #[test]
    fn a_refused_enrolment_leaves_its_token_good() {
        let records = Records::in_memory().unwrap();
        let token = || new_enrol_token(&records, Duration::from_secs(9), "user:a", 0).unwrap();
        try_enrol(&records, &request(&token(), "a", "m1"), 1).unwrap();
        try_enrol(&records, &request(&token(), "b", "m2"), 1).unwrap();
        let unused = token();
        assert!(matches!(
            try_enrol(&records, &request(&unused, "c", "m3"), 1),
            Err(EnrolError::TooManyHosts(2))
        ));
        assert!(matches!(
            try_enrol(&records, &request(&unused, "", "m3"), 1),
            Err(EnrolError::BadField { .. })
        ));
        assert_eq!(try_enrol(&records, &request(&unused, "a", "m1"), 1).unwrap().instance, "a");
    }
}
