//! Positions of expressions in the query's text, which the grammar crate does not keep.
//!
//! The tree is walked in step with the tokens of the text. Where the two disagree the walk stops, and the
//! rest of the tree simply has no positions: notes then name no place, nothing else changes.

use crate::ast::{Expr, Kind};
use crate::guard::{Token, TokenKind};

/// Fills in `pos` where it can be found.
pub(crate) fn locate(expr: &mut Expr, text: &str, tokens: &[Token]) {
    let mut walk = Walk { text, tokens, at: 0 };
    // A mismatch only means that some positions stay unknown.
    let _complete: Option<()> = walk.expr(expr);
}

struct Walk<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
}

impl Walk<'_> {
    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    fn is_punct(&self, byte: u8) -> bool {
        self.peek().is_some_and(|t| t.kind == TokenKind::Punct(byte))
    }

    fn is_word(&self, words: &[&str]) -> bool {
        self.peek().is_some_and(|t| {
            t.kind == TokenKind::Word
                && words.iter().any(|w| self.text[t.start..t.end].eq_ignore_ascii_case(w))
        })
    }

    fn punct(&mut self, byte: u8) -> Option<()> {
        self.is_punct(byte).then(|| self.at += 1)
    }

    /// Skips from an opening to its closing bracket.
    fn skip_group(&mut self, open: u8, close: u8) -> Option<()> {
        self.punct(open)?;
        let mut depth = 1;
        while depth > 0 {
            match self.peek()?.kind {
                TokenKind::Punct(b) if b == open => depth += 1,
                TokenKind::Punct(b) if b == close => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        Some(())
    }

    fn skip_signs(&mut self) {
        while self.is_punct(b'+') || self.is_punct(b'-') {
            self.at += 1;
        }
    }

    fn expr(&mut self, expr: &mut Expr) -> Option<()> {
        expr.pos = self.peek().and_then(|t| u32::try_from(t.start).ok());
        match &mut expr.kind {
            Kind::Negate(inner) => {
                while self.is_punct(b'+') {
                    self.at += 1;
                }
                self.punct(b'-')?;
                self.expr(inner)?;
            }
            Kind::Binary(b) => {
                self.expr(&mut b.lhs)?;
                expr.pos = b.lhs.pos;
                self.operator()?;
                self.expr(&mut b.rhs)?;
            }
            Kind::Number(_) | Kind::Text(_) => {
                self.skip_signs();
                self.at += 1;
            }
            Kind::Selector(_) | Kind::Range { .. } => {
                self.skip_signs();
                if self.peek()?.kind == TokenKind::Word {
                    self.at += 1;
                }
                if self.is_punct(b'{') {
                    self.skip_group(b'{', b'}')?;
                }
            }
            Kind::Subquery(s) => {
                self.expr(&mut s.expr)?;
                expr.pos = s.expr.pos;
            }
            Kind::Paren(inner) => {
                self.skip_signs();
                self.punct(b'(')?;
                self.expr(inner)?;
                self.punct(b')')?;
            }
            Kind::Call { args, .. } => {
                self.skip_signs();
                self.at += 1;
                self.arguments(args.iter_mut())?;
            }
            Kind::Aggregate(a) => {
                self.skip_signs();
                self.at += 1;
                self.grouping()?;
                self.arguments(a.param.iter_mut().chain(std::iter::once(&mut a.expr)))?;
                self.grouping()?;
            }
        }
        self.suffixes()
    }

    fn arguments<'e>(&mut self, args: impl Iterator<Item = &'e mut Expr>) -> Option<()> {
        self.punct(b'(')?;
        for (i, arg) in args.enumerate() {
            if i > 0 {
                self.punct(b',')?;
            }
            self.expr(arg)?;
        }
        self.punct(b')')
    }

    fn grouping(&mut self) -> Option<()> {
        if self.is_word(&["by", "without"]) {
            self.at += 1;
            self.skip_group(b'(', b')')?;
        }
        Some(())
    }

    /// The operator between two operands with its modifiers.
    fn operator(&mut self) -> Option<()> {
        match self.peek()?.kind {
            TokenKind::Word => self.at += 1,
            TokenKind::Punct(first) => {
                self.at += 1;
                if matches!(first, b'<' | b'>' | b'=' | b'!') && self.is_punct(b'=') {
                    self.at += 1;
                }
            }
            _ => return None,
        }
        if self.is_word(&["bool"]) {
            self.at += 1;
        }
        while self.is_word(&[
            "on",
            "ignoring",
            "group_left",
            "group_right",
            "fill",
            "fill_left",
            "fill_right",
        ]) {
            self.at += 1;
            // Parentheses behind `group_left` are always its list, as in the grammar.
            if self.is_punct(b'(') {
                self.skip_group(b'(', b')')?;
            }
        }
        Some(())
    }

    /// Range, subquery, `offset` and `@` behind an operand.
    fn suffixes(&mut self) -> Option<()> {
        loop {
            if self.is_punct(b'[') {
                self.skip_group(b'[', b']')?;
            } else if self.is_word(&["offset"]) {
                self.at += 1;
                self.skip_signs();
                self.at += 1;
            } else if self.is_punct(b'@') {
                self.at += 1;
                self.skip_signs();
                self.at += 1;
                if self.is_punct(b'(') {
                    self.skip_group(b'(', b')')?;
                }
            } else {
                return Some(());
            }
        }
    }
}

/// Line and column, both from 1, of a byte offset.
pub(crate) fn line_and_column(text: &str, offset: u32) -> (usize, usize) {
    let before = &text.as_bytes()[..text.len().min(offset as usize)];
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let column = before.len() - before.iter().rposition(|&b| b == b'\n').map_or(0, |p| p + 1) + 1;
    (line, column)
}
