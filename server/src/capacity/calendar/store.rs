//! Brings events in and gives those of a stretch of time: what people brought in and what is laid down, together.

use serde::{Deserialize, Serialize};

use super::import::{BadLine, Parsed};
use super::{EventCategory, KnownEvent, NewEvent, holidays};
use crate::app::App;
use crate::console::Page;
use crate::http::ApiError;
use crate::records::known_events::{self, Stored};
use crate::records::rusqlite::Connection;
use crate::records::{RecordsError, audit};
use crate::time::Millis;

/// Most events that are kept.
const MAX_EVENTS: usize = 10_000;
/// Most events of one answer or page.
const MAX_LISTED: u32 = 2_000;
/// Lines that are named in one answer; the others are only counted.
const MAX_BAD_NAMED: usize = 100;

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Imported {
    /// Events that are new.
    pub(crate) added: usize,
    /// Events that were there and are different now.
    pub(crate) changed: usize,
    /// Events that were there as they are.
    pub(crate) known: usize,
    /// Lines that were not taken, in all.
    pub(crate) bad_lines: usize,
    /// The first of them.
    pub(crate) bad: Vec<BadLine>,
}

/// Stores what a file holds, and tells what it did not take.
///
/// # Errors
/// 409 if there would be too many events; nothing is stored then.
pub(super) fn bring_in(
    db: &Connection,
    parsed: Parsed,
    source: &str,
    actor: &str,
    now_ms: Millis,
) -> Result<Imported, ApiError> {
    if parsed.events.len() > MAX_EVENTS {
        return Err(ApiError::conflict(format!("at most {MAX_EVENTS} events are kept")));
    }
    let bad_lines = parsed.bad.len();
    let mut imported = Imported { added: 0, changed: 0, known: 0, bad_lines, bad: parsed.bad };
    imported.bad.truncate(MAX_BAD_NAMED);
    for event in &parsed.events {
        match known_events::store(db, event, source, actor, now_ms)? {
            Stored::Added => imported.added += 1,
            Stored::Changed => imported.changed += 1,
            Stored::Known => imported.known += 1,
        }
    }
    if known_events::count(db)? > MAX_EVENTS {
        return Err(ApiError::conflict(format!("at most {MAX_EVENTS} events are kept: delete some first")));
    }
    if imported.added + imported.changed > 0 {
        let detail = (imported.added + imported.changed).to_string();
        audit::add(db, now_ms, actor, "known_event.import", source, &detail)?;
    }
    Ok(imported)
}

/// Adds one event that a person entered.
///
/// # Errors
/// As [`bring_in`].
pub(super) fn add(db: &Connection, event: NewEvent, actor: &str, now_ms: Millis) -> Result<(), ApiError> {
    let name = event.name.clone();
    known_events::store(db, &event, "", actor, now_ms)?;
    if known_events::count(db)? > MAX_EVENTS {
        return Err(ApiError::conflict(format!("at most {MAX_EVENTS} events are kept: delete some first")));
    }
    audit::add(db, now_ms, actor, "known_event.add", &name, "")?;
    Ok(())
}

/// Deletes an event.
///
/// # Errors
/// 404 if there is none of this number; what is laid down has none.
pub(super) fn remove(db: &Connection, id: i64, actor: &str, now_ms: Millis) -> Result<(), ApiError> {
    let name = known_events::delete(db, id)?.ok_or_else(|| ApiError::not_found(format!("event {id}")))?;
    audit::add(db, now_ms, actor, "known_event.delete", &name, "")?;
    Ok(())
}

/// All events that touch a stretch of time, in its order, with names in the language of the page.
///
/// # Errors
/// If the records fail.
pub(crate) async fn around(
    app: &App,
    page: &Page,
    from_ms: Millis,
    to_ms: Millis,
) -> Result<Vec<KnownEvent>, RecordsError> {
    let mut events = app.records.run(move |db| known_events::list(db, from_ms, to_ms, MAX_LISTED)).await?;
    events.extend(holidays::between(page.zone(), from_ms, to_ms).into_iter().map(|day| {
        let name = page.t(&format!("capacity.day.{}", day.code));
        KnownEvent {
            id: None,
            category: day.category,
            name: if day.in_common { page.tv("capacity.day.in_common", &[("name", &name)]) } else { name },
            from_ms: day.from_ms,
            to_ms: day.to_ms,
            source: page.t(day.source),
        }
    }));
    events.sort_by_key(|event| (event.from_ms, event.to_ms));
    Ok(events)
}

/// Name of a category.
pub(super) fn category_name(page: &Page, category: EventCategory) -> String {
    page.t(&format!("capacity.event.category.{}", category.code()))
}

#[cfg(test)]
mod tests {
    use super::super::import::{EventFormat, read};
    use super::*;
    use crate::records::Records;

    #[test]
    fn a_file_that_comes_again_changes_what_is_different_and_names_what_is_wrong() {
        let records = Records::in_memory().unwrap();
        let zone = jiff::tz::TimeZone::UTC;
        let parse = |text: &str| read(EventFormat::Csv, text, EventCategory::Tender, &zone);
        records
            .transaction(|db| {
                let first =
                    parse("id,name,start\n1,Paket A,2026-12-01\n2,Paket B,2026-12-02\n3,,2026-12-03\n");
                let done = bring_in(db, first, "a.csv", "user:a", 1)?;
                assert_eq!((done.added, done.bad_lines, done.bad[0].line), (2, 1, 4));
                let again = parse("id,name,start\n1,Paket A,2026-12-01\n2,Paket B,2026-12-09\n");
                let done = bring_in(db, again, "a.csv", "user:a", 2)?;
                assert_eq!((done.added, done.changed, done.known), (0, 1, 1));
                let all = known_events::list(db, 0, i64::MAX, 10)?;
                assert_eq!(all.len(), 2);
                remove(db, all[0].id.unwrap(), "user:a", 3)?;
                assert_eq!(remove(db, all[0].id.unwrap(), "user:a", 3).unwrap_err().status(), 404);
                let trail: Vec<_> = audit::latest(db, 9)?.into_iter().map(|e| e.action).collect();
                assert_eq!(trail, ["known_event.delete", "known_event.import", "known_event.import"]);
                Ok::<_, ApiError>(())
            })
            .unwrap();
    }
}
