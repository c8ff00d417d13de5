//! What is wrong with a plan, and the place of a field in its text. Pure.

use std::ops::Range;

use super::fleet_check::FleetProblem;
use siaga_protocol::toml_text::line_and_column;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{file}:{line}:{column}: {}{reason}", if field.is_empty() { String::new() } else { format!("{field}: ") })]
pub struct PlanProblem {
    /// File, as the reader knows it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// Path of the field, for example `step[0].undo`; empty where the text is no TOML at all.
    pub field: String,
    /// What is wrong, one line.
    pub reason: String,
    /// The same, typed, where it is not in the text but in what the fleet can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetProblem>,
}

/// Collects what is wrong, with the place of each.
pub(super) struct Problems<'a> {
    file: &'a str,
    text: &'a str,
    table: &'a Spanned<DeTable<'a>>,
    found: Vec<PlanProblem>,
    warnings: Vec<PlanProblem>,
    /// Fields as they were meant, and as they are written.
    aliases: Vec<(String, String)>,
    /// Fields of which everything is said.
    passed_over: Vec<String>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str, text: &'a str, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self {
            file,
            text,
            table,
            found: Vec::new(),
            warnings: Vec::new(),
            aliases: Vec::new(),
            passed_over: Vec::new(),
        }
    }

    /// Notes that `field` is wrong.
    pub(super) fn add(&mut self, field: &str, reason: impl Into<String>) {
        if self.passed_over.iter().any(|known| is_within(field, known)) {
            return;
        }
        let field = self.as_written(field);
        let at = span(self.table, &field).start;
        self.note(at, field, reason.into());
    }

    /// Notes that the key of `field` is wrong.
    pub(super) fn add_key(&mut self, field: &str, reason: String) {
        let field = self.as_written(field);
        let at = key_span(self.table, &field).unwrap_or_else(|| span(self.table, &field)).start;
        self.note(at, field, reason);
    }

    /// Notes that the entry `key` of the table `field` is wrong; the key may be any text.
    pub(super) fn add_entry(&mut self, field: &str, key: &str, reason: String) {
        let at = find(self.table, field)
            .and_then(|value| value.get_ref().as_table())
            .and_then(|table| table.keys().find(|found| found.get_ref() == key))
            .map_or_else(|| span(self.table, field).start, |found| found.span().start);
        self.note(at, field.to_owned(), reason);
    }

    /// Notes that `field` is allowed but unwise.
    pub(super) fn warn(&mut self, field: &str, problem: FleetProblem) {
        let (line, column) = line_and_column(self.text, span(self.table, field).start);
        let (file, field, reason) = (self.file.to_owned(), field.to_owned(), problem.say("en"));
        self.warnings.push(PlanProblem { file, line, column, field, reason, fleet: Some(problem) });
    }

    fn note(&mut self, at: usize, field: String, reason: String) {
        let (line, column) = line_and_column(self.text, at);
        let file = self.file.to_owned();
        self.found.push(PlanProblem { file, line, column, field, reason, fleet: None });
    }

    /// From here on, `meant` is looked for and named as it is written.
    pub(super) fn alias(&mut self, meant: String, written: String) {
        self.aliases.push((meant, written));
    }

    /// From here on, nothing is noted of these fields and what is in them.
    pub(super) fn pass_over(&mut self, fields: Vec<String>) {
        self.passed_over.extend(fields);
    }

    /// Whether one of these fields, by its last name, is passed over.
    pub(super) fn passes_over_any(&self, names: &[&str]) -> bool {
        let last = |path: &String| {
            let part = path.rsplit('.').next().unwrap_or_default();
            part.split('[').next().is_some_and(|name| names.contains(&name))
        };
        self.passed_over.iter().any(last)
    }

    fn as_written(&self, field: &str) -> String {
        // The newest first: it lies deepest.
        let found = self.aliases.iter().rev().find(|(meant, _)| is_within(field, meant));
        found.map_or_else(
            || field.to_owned(),
            |(meant, written)| format!("{written}{}", &field[meant.len()..]),
        )
    }

    /// What is wrong and what is unwise, each in the order of the text.
    pub(super) fn into_sorted(mut self) -> (Vec<PlanProblem>, Vec<PlanProblem>) {
        for list in [&mut self.found, &mut self.warnings] {
            list.sort_by_key(|problem| (problem.line, problem.column));
        }
        (self.found, self.warnings)
    }
}

/// Whether a field is `outer` or in it.
pub(super) fn is_within(field: &str, outer: &str) -> bool {
    field.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Where the key of `field` is written.
fn key_span(table: &Spanned<DeTable<'_>>, field: &str) -> Option<Range<usize>> {
    let (parent, key) = field.rsplit_once('.').map_or((None, field), |(parent, key)| (Some(parent), key));
    let holder = match parent {
        None => table.get_ref(),
        Some(parent) => find(table, parent)?.get_ref().as_table()?,
    };
    holder.keys().find(|found| found.get_ref() == key).map(Spanned::span)
}

fn find<'t, 'a>(table: &'t Spanned<DeTable<'a>>, field: &str) -> Option<&'t Spanned<DeValue<'a>>> {
    let mut parts = field.split(['.', '[']).map(|part| part.trim_end_matches(']'));
    let first = table.get_ref().get(parts.next()?)?;
    parts.try_fold(first, |value, part| match value.get_ref() {
        DeValue::Table(table) => table.get(part),
        DeValue::Array(array) => array.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Where `field` is written; where its nearest parent is, if it is missing.
fn span(table: &Spanned<DeTable<'_>>, field: &str) -> Range<usize> {
    let mut parts = field.split(['.', '[']).map(|part| part.trim_end_matches(']'));
    let top = parts.next().unwrap_or("");
    let Some(mut value) = table.get_ref().get(top) else { return 0..0 };
    for part in parts {
        let next = match value.get_ref() {
            DeValue::Table(table) => table.get(part),
            DeValue::Array(array) => part.parse::<usize>().ok().and_then(|index| array.get(index)),
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => break,
        }
    }
    value.span()
}
