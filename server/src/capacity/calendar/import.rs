//! Reads events from iCalendar (RFC 5545) or CSV. Pure. A part that cannot be taken is named by its line and left out;
//! the others are taken.
//!
//! iCalendar: every VEVENT needs SUMMARY and DTSTART; the end is DTEND, DURATION, or a whole day for a date; one that is
//! cancelled is passed over, one that repeats (RRULE, RDATE) is not taken, because its dates would be guessed. CSV: a
//! header line with `name` and `start`, and `end`, `category`, `id` where wanted, or the same in Indonesian; a day as
//! end is the last day itself. Times without a zone are the office's.

use std::collections::HashMap;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::holidays::span;
use super::{EventCategory, NewEvent};
use crate::time::{DAY_MS, Millis};

/// Largest file that is taken, bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// Longest name, characters; longer ones are cut.
const MAX_NAME: usize = 200;
/// Longest stretch of one event: more would colour a whole chart.
const MAX_LENGTH_MS: Millis = 366 * DAY_MS;

/// Format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum EventFormat {
    /// iCalendar.
    Ics,
    /// CSV with a header line.
    Csv,
}

impl EventFormat {
    /// The format that a text is in.
    #[must_use]
    pub(super) fn of(text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let begins = text.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("BEGIN:VCALENDAR"));
        if begins { Self::Ics } else { Self::Csv }
    }
}

/// A line that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

fn bad(line: u64, reason: impl Into<String>) -> BadLine {
    BadLine { line, reason: reason.into() }
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) events: Vec<NewEvent>,
    pub(super) bad: Vec<BadLine>,
}

/// Reads a file. `category` is that of events that name none.
#[must_use]
pub(super) fn read(format: EventFormat, text: &str, category: EventCategory, zone: &TimeZone) -> Parsed {
    let text = text.trim_start_matches('\u{feff}');
    match format {
        EventFormat::Ics => ics(text, category, zone),
        EventFormat::Csv => csv(text, category, zone),
    }
}

/// An event of these facts, or why there can be none.
pub(super) fn event(
    name: &str,
    (from_ms, to_ms): (Millis, Millis),
    category: EventCategory,
    uid: Option<&str>,
) -> Result<NewEvent, String> {
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    if name.is_empty() {
        return Err("it has no name".to_owned());
    }
    if to_ms < from_ms {
        return Err("it ends before it begins".to_owned());
    }
    if to_ms - from_ms > MAX_LENGTH_MS {
        return Err("it is longer than a year".to_owned());
    }
    let uid = match uid.map(str::trim).filter(|uid| !uid.is_empty()) {
        Some(uid) => uid.chars().take(MAX_NAME).collect(),
        None => format!("{} {name} {from_ms}", category.code()),
    };
    Ok(NewEvent { uid, category, name, from_ms, to_ms })
}

/// A point in time or a whole day.
enum When {
    Day(Date),
    At(Millis),
}

impl When {
    fn start(&self, zone: &TimeZone) -> Millis {
        match self {
            Self::Day(day) => span(zone, *day).0,
            Self::At(at) => *at,
        }
    }

    /// End where this is the last that belongs to it.
    fn end_with(&self, zone: &TimeZone) -> Millis {
        match self {
            Self::Day(day) => span(zone, *day).1,
            Self::At(at) => *at,
        }
    }
}

/// Logical lines with the number of their first physical one; a line that begins with white space goes on the one
/// before.
fn unfold(text: &str) -> Vec<(u64, String)> {
    let mut lines: Vec<(u64, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, before))) => before.push_str(rest),
            _ if line.trim().is_empty() => {}
            _ => lines.push((number, line.to_owned())),
        }
    }
    lines
}

/// A property of an event: line, parameters, value.
struct Property {
    line: u64,
    zone: Option<String>,
    value: String,
}

fn ics(text: &str, category: EventCategory, zone: &TimeZone) -> Parsed {
    let mut parsed = Parsed::default();
    // Line of the event's beginning, its properties, what is wrong with it.
    let mut open: Option<(u64, HashMap<String, Property>, Option<BadLine>)> = None;
    // Components inside of an event, such as alarms, have properties of their own.
    let mut inner = 0_u32;
    for (line, text) in unfold(text) {
        let property = match ical::PropertyParser::from_reader(text.as_bytes()).next() {
            Some(Ok(property)) => property,
            Some(Err(_)) | None => {
                let wrong = bad(line, "it is no NAME:VALUE line of iCalendar");
                match &mut open {
                    Some((_, _, found)) => *found = found.take().or(Some(wrong)),
                    None => parsed.bad.push(wrong),
                }
                continue;
            }
        };
        let name = property.name.to_ascii_uppercase();
        let value = property.value.unwrap_or_default();
        match (name.as_str(), value.trim().to_ascii_uppercase().as_str(), &mut open) {
            ("BEGIN", "VEVENT", None) => open = Some((line, HashMap::new(), None)),
            ("BEGIN", _, Some(_)) => inner += 1,
            ("END", "VEVENT", Some(_)) if inner == 0 => {
                if let Some((begun, properties, wrong)) = open.take() {
                    match wrong.map_or_else(|| ics_event(begun, &properties, category, zone), Err) {
                        Ok(event) => parsed.events.extend(event),
                        Err(wrong) => parsed.bad.push(wrong),
                    }
                }
            }
            ("END", _, Some(_)) => inner = inner.saturating_sub(1),
            (_, _, Some((_, properties, _))) if inner == 0 => {
                let zone = property.params.unwrap_or_default().into_iter().find(|(key, _)| key == "TZID");
                let zone = zone.and_then(|(_, values)| values.into_iter().next());
                properties.entry(name).or_insert(Property { line, zone, value });
            }
            _ => {}
        }
    }
    if let Some((begun, _, _)) = open {
        parsed.bad.push(bad(begun, "the event has no END:VEVENT"));
    } else if parsed == Parsed::default() {
        parsed.bad.push(bad(1, "there is no event (BEGIN:VEVENT) in it"));
    }
    parsed
}

fn ics_event(
    begun: u64,
    properties: &HashMap<String, Property>,
    category: EventCategory,
    zone: &TimeZone,
) -> Result<Option<NewEvent>, BadLine> {
    let get = |name: &str| properties.get(name);
    if get("STATUS").is_some_and(|status| status.value.eq_ignore_ascii_case("CANCELLED")) {
        return Ok(None);
    }
    if let Some(repeats) = get("RRULE").or(get("RDATE")) {
        return Err(bad(repeats.line, "an event that repeats is not taken: list each of its dates"));
    }
    let start = get("DTSTART").ok_or_else(|| bad(begun, "the event has no DTSTART"))?;
    let from = ics_time(start, zone)?;
    let from_ms = from.start(zone);
    let to_ms = match (get("DTEND"), get("DURATION"), &from) {
        (Some(end), _, _) => ics_time(end, zone)?.start(zone),
        (None, Some(length), _) => from_ms + ics_duration(length)?,
        (None, None, from) => from.end_with(zone),
    };
    let summary = get("SUMMARY").ok_or_else(|| bad(begun, "the event has no SUMMARY"))?;
    let named = get("CATEGORIES").and_then(|all| all.value.split(',').find_map(EventCategory::from_word));
    let uid = get("UID").map(|uid| uid.value.as_str());
    event(&unescape(&summary.value), (from_ms, to_ms), named.unwrap_or(category), uid)
        .map(Some)
        .map_err(|reason| bad(start.line, reason))
}

fn ics_time(property: &Property, office: &TimeZone) -> Result<When, BadLine> {
    let text = property.value.trim();
    let wrong =
        || bad(property.line, format!("{text:?} is no date or time of iCalendar, such as 20261224T080000Z"));
    if text.len() == 8 {
        return Date::strptime("%Y%m%d", text).map(When::Day).map_err(|_| wrong());
    }
    let (local, utc) = text.strip_suffix('Z').map_or((text, false), |local| (local, true));
    let at = DateTime::strptime("%Y%m%dT%H%M%S", local).map_err(|_| wrong())?;
    let zone = match (&property.zone, utc) {
        (_, true) => TimeZone::UTC,
        (None, false) => office.clone(),
        (Some(name), false) => TimeZone::get(name)
            .map_err(|_| bad(property.line, format!("the time zone {name:?} is not known")))?,
    };
    let at = at.to_zoned(zone).map_err(|_| wrong())?;
    Ok(When::At(at.timestamp().as_millisecond()))
}

fn ics_duration(property: &Property) -> Result<Millis, BadLine> {
    let text = property.value.trim();
    let wrong = || bad(property.line, format!("{text:?} is no duration such as PT2H"));
    let length: Span = text.parse().map_err(|_| wrong())?;
    let length = length.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Millis::try_from(length.as_millis()).map_err(|_| wrong())
}

fn unescape(text: &str) -> String {
    text.replace("\\n", " ").replace("\\N", " ").replace("\\,", ",").replace("\\;", ";").replace("\\\\", "\\")
}

/// Columns and the words by which a header may name them.
const COLUMNS: [(&str, &[&str]); 5] = [
    ("name", &["name", "nama", "summary"]),
    ("start", &["start", "mulai"]),
    ("end", &["end", "selesai"]),
    ("category", &["category", "kategori"]),
    ("id", &["id", "uid", "kode"]),
];

fn csv(text: &str, category: EventCategory, zone: &TimeZone) -> Parsed {
    let mut parsed = Parsed::default();
    let first = text.lines().next().unwrap_or_default();
    // Spreadsheets with a decimal comma write semicolons.
    let delimiter = if first.contains(';') && !first.contains(',') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let header: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(|field| field.trim().to_lowercase()).collect(),
        Err(error) => {
            parsed.bad.push(bad(1, error.to_string()));
            return parsed;
        }
    };
    let column = |wanted: &str| {
        let words = COLUMNS.iter().find(|(name, _)| *name == wanted).map_or(&[][..], |(_, words)| words);
        header.iter().position(|field| words.contains(&field.as_str()))
    };
    let (Some(name), Some(start)) = (column("name"), column("start")) else {
        parsed.bad.push(bad(1, "the header must name the columns name and start (nama, mulai)"));
        return parsed;
    };
    let (end, kind, id) = (column("end"), column("category"), column("id"));
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                parsed.bad.push(bad(line, error.to_string()));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column: Option<usize>| column.and_then(|at| record.get(at)).unwrap_or_default().trim();
        let row = [field(Some(name)), field(Some(start)), field(end), field(kind), field(id)];
        match csv_event(row, category, zone) {
            Ok(event) => parsed.events.push(event),
            Err(reason) => parsed.bad.push(bad(line, reason)),
        }
    }
    if parsed == Parsed::default() {
        parsed.bad.push(bad(1, "there is no event below the header"));
    }
    parsed
}

fn csv_event(
    [name, start, end, kind, id]: [&str; 5],
    category: EventCategory,
    zone: &TimeZone,
) -> Result<NewEvent, String> {
    let from = csv_time(start, zone)?;
    let to_ms = if end.is_empty() { from.end_with(zone) } else { csv_time(end, zone)?.end_with(zone) };
    let category = match kind {
        "" => category,
        word => {
            EventCategory::from_word(word).ok_or_else(|| format!("the category {word:?} is not known"))?
        }
    };
    event(name, (from.start(zone), to_ms), category, Some(id))
}

fn csv_time(text: &str, zone: &TimeZone) -> Result<When, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(When::At(at.as_millisecond()));
    }
    if text.len() <= 10
        && let Ok(day) = text.parse::<Date>()
    {
        return Ok(When::Day(day));
    }
    let local: Option<DateTime> = text.parse().ok();
    let at = local.and_then(|at| at.to_zoned(zone.clone()).ok());
    at.map(|at| When::At(at.timestamp().as_millisecond()))
        .ok_or_else(|| format!("{text:?} is no date or time such as 2026-12-24 or 2026-12-24 14:00"))
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
