//! What is wrong with a plan, and the place of a field in its text. Pure.

use std::ops::Range;

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
}

/// Collects what is wrong, with the place of each.
pub(super) struct Problems<'a> {
    file: &'a str,
    text: &'a str,
    table: &'a Spanned<DeTable<'a>>,
    found: Vec<PlanProblem>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str, text: &'a str, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self { file, text, table, found: Vec::new() }
    }

    /// Notes that `field` is wrong.
    pub(super) fn add(&mut self, field: &str, reason: impl Into<String>) {
        let (line, column) = line_and_column(self.text, span(self.table, field).start);
        let (file, field) = (self.file.to_owned(), field.to_owned());
        self.found.push(PlanProblem { file, line, column, field, reason: reason.into() });
    }

    /// All of them in the order of the text.
    pub(super) fn into_sorted(mut self) -> Vec<PlanProblem> {
        self.found.sort_by_key(|problem| (problem.line, problem.column));
        self.found
    }
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
