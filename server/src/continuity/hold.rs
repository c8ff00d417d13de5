//! Which host a running drill holds: one that was given an order cannot leave before the drill has ended, or nobody could
//! undo there any more.

use super::journal::{self, Fact};
use crate::records::Result;
use crate::records::drills::{self, Drill};
use crate::records::rusqlite::Connection;

/// The running drill that has begun a step on a host, if there is one.
///
/// # Errors
/// If the records cannot be read.
pub(crate) fn drill_on_host(db: &Connection, host_id: &str) -> Result<Option<Drill>> {
    for drill in drills::running(db)? {
        let begun = |fact: &Fact| matches!(fact, Fact::StepStarted { order, .. } if order.host_id == host_id);
        let entries = journal::entries(&drills::journal(db, &drill.id)?)?;
        if entries.iter().any(|entry| begun(&entry.fact)) {
            return Ok(Some(drill));
        }
    }
    Ok(None)
}
