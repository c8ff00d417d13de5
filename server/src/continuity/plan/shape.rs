//! Everything that is wrong with the shape of a plan's text: what is no TOML, unknown and missing fields, wrong types.
//! Pure.
//!
//! A reader of types ends at the first thing that is wrong. So each finding is noted and mended in a copy, a wrong key
//! by its nearest name, until the copy can be read; then its content can be checked too. What was mended is not checked.

use siaga_protocol::toml_text::line_and_column;
use toml::de::DeTable;
use toml::{Table, Value};

use super::place::{PlanProblem, Problems, is_within};
use super::text::PlanText;

/// Findings of shape that are reported.
const MAX_FINDINGS: usize = 100;

/// What stands for a required field that is missing; fields are told apart by their names alone.
const STAND_INS: [(&str, &str); 19] = [
    ("id", "x"),
    ("name", "x"),
    ("service", "x"),
    ("scenario", "x"),
    ("kind", "failover"),
    ("rto", "30s"),
    ("coordinator", "x"),
    ("cron", "0 9 1 * *"),
    ("url", "http://127.0.0.1/"),
    ("query", "vector(1)"),
    ("is", ">= 1"),
    ("timeout", "10s"),
    ("from", "2026-01-01"),
    ("to", "2026-01-02"),
    ("lasts", "1h"),
    ("host", "x"),
    ("no_undo", "x"),
    ("write", "http://127.0.0.1/"),
    ("read", "http://127.0.0.1/"),
];

/// A text whose shape was looked at.
pub(super) struct Shaped {
    /// What can be read, with what was mended.
    pub(super) text: Option<PlanText>,
    /// Fields that were mended: nothing about them is news.
    pub(super) mended: Vec<String>,
}

/// What the text says where it is no TOML.
pub(super) fn syntax_problems(file: &str, text: &str) -> Vec<PlanProblem> {
    let (_, errors) = DeTable::parse_recoverable(text);
    errors
        .iter()
        .take(MAX_FINDINGS)
        .map(|error| {
            let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
            let reason = error.message().lines().collect::<Vec<_>>().join(" ");
            PlanProblem { file: file.to_owned(), line, column, field: String::new(), reason, fleet: None }
        })
        .collect()
}

/// Reads the types; what is wrong goes to `problems`.
pub(super) fn read(text: &str, problems: &mut Problems<'_>) -> Shaped {
    let mut mended = Vec::new();
    let Ok(mut table) = text.parse::<Table>() else { return Shaped { text: None, mended } };
    for _ in 0..MAX_FINDINGS {
        let error = match serde_path_to_error::deserialize(Value::Table(table.clone())) {
            Ok(text) => return Shaped { text: Some(text), mended },
            Err(error) => error,
        };
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let reason = error.inner().message().lines().collect::<Vec<_>>().join(" ");
        let repaired = match Finding::of(&reason) {
            Finding::Unknown { field, known } => {
                unknown(&mut table, &mut mended, problems, Place { path, field }, &reason, &known)
            }
            Finding::Missing { field } => missing(&mut table, &mut mended, problems, &path, &field),
            Finding::Other => {
                problems.add(&path, reason);
                mended.push(path.clone());
                take_out(&mut table, &path).is_some()
            }
        };
        if !repaired {
            break;
        }
    }
    Shaped { text: None, mended }
}

/// Where a key stands that does not belong there.
struct Place {
    path: String,
    field: String,
}

fn unknown(
    table: &mut Table,
    mended: &mut Vec<String>,
    problems: &mut Problems<'_>,
    place: Place,
    reason: &str,
    known: &[String],
) -> bool {
    // The path names the key where the reader of types had come to it.
    let (parent, path) = match place.path.strip_suffix(&place.field) {
        Some(parent) if parent.is_empty() || parent.ends_with('.') => {
            (parent.trim_end_matches('.').to_owned(), place.path.clone())
        }
        _ => (place.path.clone(), join(&place.path, &place.field)),
    };
    let nearest = nearest(&place.field, known);
    let suggestion = nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    problems.add_key(&path, format!("{reason}{suggestion}"));
    let Some(value) = take_out(table, &path) else { return false };
    if let Some(name) = nearest {
        let meant = join(&parent, name);
        if look(table, &meant).is_none() && put(table, &meant, value) {
            problems.alias(meant, path);
        }
    } else {
        mended.push(path);
    }
    true
}

fn missing(
    table: &mut Table,
    mended: &mut Vec<String>,
    problems: &mut Problems<'_>,
    parent: &str,
    field: &str,
) -> bool {
    let path = join(parent, field);
    // What was taken out because it is wrong is not missing, nor what would be in something that is.
    if !mended.iter().any(|known| is_within(&path, known)) {
        problems.add(&path, format!("missing field `{field}`"));
        mended.push(path.clone());
    }
    let value = match STAND_INS.iter().find(|(name, _)| *name == field) {
        Some((_, value)) => Value::String((*value).to_owned()),
        None => Value::Table(Table::new()),
    };
    put(table, &path, value)
}

/// What the reader of types says.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Unknown { field: String, known: Vec<String> },
    Missing { field: String },
    Other,
}

impl Finding {
    /// Names stand between grave accents in the messages of the reader.
    fn of(reason: &str) -> Self {
        let mut names = reason.split('`').skip(1).step_by(2).map(ToOwned::to_owned);
        match names.next() {
            Some(field) if reason.starts_with("unknown field") => {
                Self::Unknown { field, known: names.collect() }
            }
            Some(field) if reason.starts_with("missing field") => Self::Missing { field },
            _ => Self::Other,
        }
    }
}

/// The known name that was most likely meant.
fn nearest<'a>(wrong: &str, known: &'a [String]) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(wrong, name);
    let found = known.iter().min_by_key(|name| distance(name))?;
    (distance(found) <= 1 + wrong.chars().count() / 4).then_some(found)
}

fn join(parent: &str, field: &str) -> String {
    if parent.is_empty() { field.to_owned() } else { format!("{parent}.{field}") }
}

/// Parts of a path such as `step[0].undo`.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[']).map(|part| part.trim_end_matches(']'))
}

fn step<'a>(value: &'a mut Value, part: &str) -> Option<&'a mut Value> {
    match value {
        Value::Table(table) => table.get_mut(part),
        Value::Array(array) => array.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    }
}

fn look<'a>(table: &'a mut Table, path: &str) -> Option<&'a mut Value> {
    let mut parts = parts(path);
    let first = table.get_mut(parts.next()?)?;
    parts.try_fold(first, step)
}

/// The table that holds the last part of a path, and that part.
fn holder<'a, 'b>(table: &'a mut Table, path: &'b str) -> Option<(&'a mut Table, &'b str)> {
    match path.rsplit_once('.') {
        None if !path.contains('[') => Some((table, path)),
        Some((parent, field)) if !field.contains('[') => Some((look(table, parent)?.as_table_mut()?, field)),
        _ => None,
    }
}

fn put(table: &mut Table, path: &str, value: Value) -> bool {
    holder(table, path).is_some_and(|(holder, field)| {
        holder.insert(field.to_owned(), value);
        true
    })
}

/// Takes a value out; of a list, where places must stay, the whole list.
fn take_out(table: &mut Table, path: &str) -> Option<Value> {
    if let Some((list, _)) = path.rsplit_once('[').filter(|(_, rest)| rest.ends_with(']')) {
        return take_out(table, list);
    }
    let (holder, field) = holder(table, path)?;
    holder.remove(field)
}
