//! Notes on a query (Prometheus calls them annotations): said once each, with the place in the text.

use std::collections::HashSet;

use crate::ast::Expr;
use crate::locate::line_and_column;

/// Most notes of one query; more are not even counted.
const MAX_NOTES: usize = 10_000;

pub(crate) struct Notes<'a> {
    text: &'a str,
    seen: HashSet<String>,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl<'a> Notes<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, seen: HashSet::new(), warnings: Vec::new(), infos: Vec::new() }
    }

    /// The result is probably not what was meant.
    pub(crate) fn warn(&mut self, at: &Expr, message: &str) {
        let note = format!("PromQL warning: {message}{}", self.place(at));
        if self.is_new(&note) {
            self.warnings.push(note);
        }
    }

    /// The query could be improved.
    pub(crate) fn info(&mut self, at: &Expr, message: &str) {
        let note = format!("PromQL info: {message}{}", self.place(at));
        if self.is_new(&note) {
            self.infos.push(note);
        }
    }

    fn is_new(&mut self, note: &str) -> bool {
        self.seen.len() < MAX_NOTES && self.seen.insert(note.to_owned())
    }

    fn place(&self, at: &Expr) -> String {
        match at.pos {
            Some(pos) => {
                let (line, column) = line_and_column(self.text, pos);
                format!(" ({line}:{column})")
            }
            None => String::new(),
        }
    }

    pub(crate) fn into_lists(self) -> (Vec<String>, Vec<String>) {
        (self.warnings, self.infos)
    }
}
