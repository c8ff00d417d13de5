//! Enrolment: a one-time token becomes an agent's own token.
//!
//! Invariant: a host in service gives its identity up to nobody but who bears a token that was made for that very host.

use std::time::Duration;

use siaga_protocol::agent_api::{EnrolRequest, EnrolResponse};

use crate::access::{hash_secret, new_id, new_secret};
use crate::records::hosts::KnownBy;
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
    /// A host in service has that machine identity, and the token was not made for it.
    #[error(
        "this machine is enrolled already, and the token was not made for it: make one for the host \
         (siaga-server enrol-token --host NAME), or take the host out of service first"
    )]
    AlreadyEnrolled,
    /// The token was made for a host, but the machine is another host in service.
    #[error("the token was made for host {wanted}, but this machine is enrolled as another host")]
    OtherHost {
        /// Instance of the host that the token was made for.
        wanted: String,
    },
    /// There is no such host in service.
    #[error("host {0} does not exist")]
    UnknownHost(String),
    /// There are as many hosts as configured.
    #[error("there are {0} hosts, which is the configured limit fleet.max_hosts")]
    TooManyHosts(usize),
    /// The records failed.
    #[error("cannot record the enrolment")]
    Records(#[from] RecordsError),
}

/// Makes a one-time token and gives its secret. With `host`, an instance, it is for that host in service alone, which
/// was installed anew or lost its credentials; without, it is for a new host, or one that was retired.
///
/// # Errors
/// If there is no such host, or the records cannot be written.
pub fn new_enrol_token(
    records: &Records,
    host: Option<&str>,
    valid: Duration,
    actor: &str,
    now_ms: Millis,
) -> Result<String, EnrolError> {
    let secret = new_secret("enrol");
    records.transaction(|db| {
        let id = match host {
            Some(instance) => {
                let found = hosts::by_instance(db, instance)?;
                Some(found.ok_or_else(|| EnrolError::UnknownHost(instance.to_owned()))?.id)
            }
            None => None,
        };
        let hash = hash_secret(&secret);
        tokens::insert_enrol_token(db, &hash, id.as_deref(), now_ms, now_ms + millis(valid))?;
        audit::add(db, now_ms, actor, "enrol_token.create", host.unwrap_or_default(), "")?;
        Ok::<_, EnrolError>(())
    })?;
    Ok(secret)
}

/// The host that an enrolment is about: one that is known, or `None` for a new one.
fn host_of(
    db: &Connection,
    machine_id: &str,
    made_for: Option<String>,
) -> Result<Option<hosts::Known>, EnrolError> {
    let known = hosts::known(db, KnownBy::MachineId(machine_id))?;
    let Some(wanted) = made_for else {
        return if known.as_ref().is_some_and(|host| host.in_service) {
            Err(EnrolError::AlreadyEnrolled)
        } else {
            Ok(known)
        };
    };
    // A host that was installed anew may have another machine identity, but not that of another host.
    let wanted = hosts::known(db, KnownBy::Id(&wanted))?.ok_or(EnrolError::BadToken)?;
    if known.is_some_and(|known| known.id != wanted.id) {
        return Err(EnrolError::OtherHost { wanted: wanted.instance });
    }
    Ok(Some(wanted))
}

/// Notes a refused enrolment in the audit trail, in a transaction of its own: that of the enrolment is undone.
///
/// # Errors
/// If the records cannot be written.
pub fn note_refusal(db: &Connection, request: &EnrolRequest, now_ms: Millis) -> Result<(), RecordsError> {
    let known = hosts::known(db, KnownBy::MachineId(&request.machine_id))?;
    let instance = known.map_or_else(String::new, |host| host.instance);
    audit::add(db, now_ms, "siaga", "host.enrol.refuse", &instance, &request.hostname)
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
    let enrol_hash = hash_secret(&request.token);
    // First the token: who has none learns nothing of which machines are known.
    let made_for = tokens::good_enrol_token(db, &enrol_hash, now_ms)?.ok_or(EnrolError::BadToken)?;
    let known = host_of(db, &request.machine_id, made_for)?;
    let host_id = known.as_ref().map_or_else(new_id, |host| host.id.clone());
    if !tokens::use_enrol_token(db, &enrol_hash, &host_id, now_ms)? {
        return Err(EnrolError::BadToken);
    }
    let again = known.is_some();
    let instance = if let Some(host) = known {
        let (hostname, version) = (&request.hostname, &request.agent_version);
        hosts::enrol_again(db, &host.id, &request.machine_id, hostname, version, &token_hash)?;
        host.instance
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
    let action = if again { "host.enrol.again" } else { "host.enrol" };
    audit::add(db, now_ms, &format!("agent:{instance}"), action, &host_id, &request.agent_version)?;
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
        let token = new_enrol_token(&records, None, Duration::from_secs(1), "user:a", 0).unwrap();
        let late = new_enrol_token(&records, None, Duration::from_secs(1), "user:a", 0).unwrap();
        assert_eq!(try_enrol(&records, &request(&token, "web", "m1"), 999).unwrap().instance, "web");
        assert!(matches!(try_enrol(&records, &request(&token, "db", "m2"), 999), Err(EnrolError::BadToken)));
        assert!(matches!(try_enrol(&records, &request(&late, "db", "m2"), 1_000), Err(EnrolError::BadToken)));
        assert!(matches!(try_enrol(&records, &request("x", "db", "m2"), 1), Err(EnrolError::BadToken)));
    }

    #[test]
    fn a_host_in_service_is_enrolled_again_only_with_a_token_made_for_it() {
        let records = Records::in_memory().unwrap();
        let token = |host| new_enrol_token(&records, host, Duration::from_secs(9), "user:a", 0).unwrap();
        let first = try_enrol(&records, &request(&token(None), "web", "m1"), 1).unwrap();
        let any = token(None);
        let stolen = try_enrol(&records, &request(&any, "web", "m1"), 2);
        assert!(matches!(stolen, Err(EnrolError::AlreadyEnrolled)));
        let known = records.transaction(|db| hosts::by_token(db, &hash_secret(&first.agent_token))).unwrap();
        assert_eq!(known.unwrap().instance, "web", "the agent's token is still good");

        let namesake = try_enrol(&records, &request(&any, "web", "m2"), 3).unwrap();
        assert_eq!(namesake.instance, "web-2");
        let for_web = token(Some("web"));
        let other = try_enrol(&records, &request(&for_web, "web", "m2"), 4);
        assert!(matches!(other, Err(EnrolError::OtherHost { wanted }) if wanted == "web"));
        // Installed anew, the same host has another machine identity.
        let again = try_enrol(&records, &request(&for_web, "web-new", "m1-new"), 5).unwrap();
        assert_eq!((&again.host_id, &again.instance), (&first.host_id, &first.instance));
        assert_ne!(again.agent_token, first.agent_token);
        let unknown = new_enrol_token(&records, Some("none"), Duration::from_secs(9), "user:a", 0);
        assert!(matches!(unknown, Err(EnrolError::UnknownHost(_))));
    }

    #[test]
    fn a_retired_host_comes_back_with_any_token() {
        let records = Records::in_memory().unwrap();
        let token = || new_enrol_token(&records, None, Duration::from_secs(9), "user:a", 0).unwrap();
        let first = try_enrol(&records, &request(&token(), "web", "m1"), 1).unwrap();
        records.transaction(|db| hosts::retire(db, &first.host_id, 2)).unwrap();
        assert_eq!(try_enrol(&records, &request(&token(), "web", "m1"), 3).unwrap().host_id, first.host_id);
    }

    #[test]
    fn a_refused_enrolment_leaves_its_token_good() {
        let records = Records::in_memory().unwrap();
        let token = || new_enrol_token(&records, None, Duration::from_secs(9), "user:a", 0).unwrap();
        let first = try_enrol(&records, &request(&token(), "a", "m1"), 1).unwrap();
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
        records.transaction(|db| hosts::retire(db, &first.host_id, 2)).unwrap();
        assert_eq!(try_enrol(&records, &request(&unused, "a", "m1"), 3).unwrap().instance, "a");
    }
}
