//! A first look at the text of a query, before the grammar sees it: bounds nesting and size, and rewrites the
//! few spellings that the grammar crate would refuse or stumble over.
//!
//! Invariant: whatever passes here cannot make the parser panic on a number or recurse without bound.

use crate::QueryError;
use crate::format::RAW_BYTE_BASE;

/// Longest duration or range in seconds: about 292 years, what fits nanoseconds in 64 bits in Prometheus.
const MAX_DURATION_SECONDS: f64 = 9.2e9;

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Word,
    Number,
    Text,
    Punct(u8),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A query's text made safe for the grammar.
pub(crate) struct Guarded {
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
}

/// Checks the text and normalises numbers such as `1_000`.
pub(crate) fn guard(text: &str, max_length: usize, max_depth: usize) -> Result<Guarded, QueryError> {
    if text.len() > max_length {
        return Err(QueryError::BadData(format!("query is longer than {max_length} bytes")));
    }
    let text = normalised(text);
    let tokens = scan(&text);
    check_depth(&text, &tokens, max_depth)?;
    check_numbers(&text, &tokens)?;
    check_durations(&text, &tokens)?;
    crate::patterns::check(&text, &tokens)?;
    Ok(Guarded { text, tokens })
}

/// Splits the text into tokens; comments and blanks vanish. Never fails: an open string ends with the text.
pub(crate) fn scan(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let start = at;
        let kind = match b {
            b'#' => {
                at = bytes[at..].iter().position(|&b| b == b'\n').map_or(bytes.len(), |n| at + n);
                continue;
            }
            b'"' | b'\'' | b'`' => {
                at = end_of_string(bytes, at);
                TokenKind::Text
            }
            b'0'..=b'9' | b'.' => {
                at = end_of_number(bytes, at);
                TokenKind::Number
            }
            b if b.is_ascii_alphabetic() || b == b'_' || b >= 0x80 => {
                at = end_of_word(bytes, at);
                TokenKind::Word
            }
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b => {
                at += 1;
                TokenKind::Punct(b)
            }
        };
        tokens.push(Token { kind, start, end: at });
    }
    tokens
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let mut at = start + 1;
    while let Some(&b) = bytes.get(at) {
        if b == b'\\' && quote != b'`' {
            at += 2;
        } else if b == quote {
            return at + 1;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn end_of_word(bytes: &[u8], start: usize) -> usize {
    // A colon belongs to metric names, but not at the end of a number in a subquery: words never begin with digits.
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b == b':' || *b >= 0x80;
    start + bytes[start..].iter().take_while(|b| is_word(b)).count()
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(&b) = bytes.get(at) {
        let exponent_sign = (b == b'+' || b == b'-')
            && matches!(bytes[at - usize::from(at > start)], b'e' | b'E')
            && !bytes[start..at].starts_with(b"0x");
        if b.is_ascii_alphanumeric() || b == b'.' || b == b'_' || exponent_sign {
            at += 1;
        } else {
            break;
        }
    }
    at.max(start + 1)
}

/// Go allows `1_000`, and byte escapes in strings; the grammar crate refuses the one and misreads the other.
fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for token in scan(text) {
        let piece = &text[token.start..token.end];
        let changed = match token.kind {
            TokenKind::Number if piece.contains('_') => piece.replace('_', ""),
            TokenKind::Text if piece.contains("\\x") && !piece.starts_with('`') => {
                byte_escapes_decoded(piece)
            }
            _ => continue,
        };
        out.push_str(&text[done..token.start]);
        out.push_str(&changed);
        done = token.end;
    }
    out.push_str(&text[done..]);
    out
}

/// Replaces `\xNN` above 0x7f: runs that are UTF-8 by their characters, other bytes by stand-ins.
fn byte_escapes_decoded(literal: &str) -> String {
    let mut out = String::with_capacity(literal.len());
    let mut bytes: Vec<u8> = Vec::new();
    let mut rest = literal;
    while let Some(c) = rest.chars().next() {
        let escape = rest.strip_prefix("\\x").and_then(|r| r.get(..2));
        if let Some(byte) = escape.and_then(|h| u8::from_str_radix(h, 16).ok()).filter(|b| *b >= 0x80) {
            bytes.push(byte);
            rest = &rest[4..];
            continue;
        }
        flush_bytes(&mut bytes, &mut out);
        // An escaped backslash must not lend its second half to an `x` behind it.
        let taken =
            if c == '\\' { 1 + rest[1..].chars().next().map_or(0, char::len_utf8) } else { c.len_utf8() };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    flush_bytes(&mut bytes, &mut out);
    out
}

fn flush_bytes(bytes: &mut Vec<u8>, out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().filter_map(|&b| char::from_u32(RAW_BYTE_BASE + u32::from(b))));
    }
    bytes.clear();
}

/// Bounds what the recursive parts of the parser and evaluator will meet.
fn check_depth(text: &str, tokens: &[Token], max_depth: usize) -> Result<(), QueryError> {
    let too_deep = || QueryError::BadData(format!("query is nested deeper than {max_depth} levels"));
    let mut open = 0usize;
    // Operators and signs nest too: a chain of n operators is a tree of depth n.
    let mut operators = 0usize;
    let mut in_braces = false;
    for token in tokens {
        let piece = &text[token.start..token.end];
        match token.kind {
            TokenKind::Punct(b'{') => in_braces = true,
            TokenKind::Punct(b'}') => in_braces = false,
            TokenKind::Punct(b'(' | b'[') => {
                open += 1;
                if open > max_depth {
                    return Err(too_deep());
                }
            }
            TokenKind::Punct(b')' | b']') => open = open.saturating_sub(1),
            TokenKind::Punct(b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'<' | b'>' | b'=' | b'!')
                if !in_braces =>
            {
                operators += 1;
            }
            TokenKind::Word if !in_braces && is_word_operator(piece) => operators += 1,
            _ => {}
        }
    }
    // `>=` counts twice, which is why the bound is generous; the tree's own depth is checked after parsing.
    if operators > max_depth.saturating_mul(8) {
        return Err(too_deep());
    }
    Ok(())
}

fn is_word_operator(word: &str) -> bool {
    ["and", "or", "unless", "atan2"].iter().any(|op| word.eq_ignore_ascii_case(op))
}

/// The grammar crate turns numbers in these places into durations and panics where they do not fit.
fn check_durations(text: &str, tokens: &[Token]) -> Result<(), QueryError> {
    let mut expects_duration = false;
    let mut in_range = false;
    for token in tokens {
        let piece = &text[token.start..token.end];
        match token.kind {
            TokenKind::Punct(b'[') => (expects_duration, in_range) = (true, true),
            TokenKind::Punct(b']') => (expects_duration, in_range) = (false, false),
            TokenKind::Punct(b':') => expects_duration = in_range,
            TokenKind::Punct(b'+' | b'-') => {}
            TokenKind::Word if piece.eq_ignore_ascii_case("offset") => expects_duration = true,
            TokenKind::Number | TokenKind::Word if expects_duration => {
                check_duration(piece)?;
                expects_duration = in_range;
            }
            _ => expects_duration = in_range,
        }
    }
    Ok(())
}

fn check_duration(piece: &str) -> Result<(), QueryError> {
    // A word may carry the colon of a subquery (`inf:5`). Whole numbers in hex or octal always fit.
    let number = piece.split(':').next().unwrap_or(piece);
    match number.parse::<f64>() {
        Ok(s) if !(s.is_finite() && (0.0..=MAX_DURATION_SECONDS).contains(&s)) => {
            Err(QueryError::BadData(format!("duration out of range: {piece}")))
        }
        _ => Ok(()),
    }
}

/// The grammar crate takes any number with an `x` in it for a hexadecimal one.
fn check_numbers(text: &str, tokens: &[Token]) -> Result<(), QueryError> {
    for token in tokens.iter().filter(|t| t.kind == TokenKind::Number) {
        let piece = text[token.start..token.end].to_ascii_lowercase();
        let is_sound = match piece.strip_prefix("0x") {
            Some(hex) => !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()),
            None => !piece.contains('x'),
        };
        if !is_sound {
            return Err(QueryError::BadData(format!("bad number or duration syntax: \"{piece}\"")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str) -> bool {
        guard(text, 1000, 20).is_ok()
    }

    #[test]
    fn durations_that_do_not_fit_are_refused_before_the_grammar_sees_them() {
        for text in ["x[1e30]", "x[inf]", "x[NaN]", "x offset 1e300", "x[5m:1e99]", "x offset -Inf"] {
            assert!(!ok(text), "{text}");
        }
        for text in ["5x", "0x", "0xg", "x[5x]"] {
            assert!(!ok(text), "{text}");
        }
        for text in
            ["0x1F", "x[0x10]", "x[5m]", "x[300]", "x[5m:1m] offset -5m", "x offset 1.5", "x == Inf", "inf"]
        {
            assert!(ok(text), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(!ok(&format!("{}1{}", "(".repeat(21), ")".repeat(21))));
        assert!(!ok(&"-".repeat(500)));
        assert!(!ok(&vec!["1"; 400].join("+")));
        assert!(ok(r#"{a=~"((((((((((((((((((((((((("}"#));
    }

    #[test]
    fn byte_escapes_become_their_characters_or_stand_ins() {
        let normal = |text: &str| guard(text, 1000, 20).map(|g| g.text).unwrap_or_default();
        assert_eq!(normal(r#""\xc3\x85""#), "\"\u{c5}\"");
        assert_eq!(normal(r#""a\xc5z""#), "\"a\u{10ffc5}z\"");
        assert_eq!(normal(r#""\\xc5\x41""#), r#""\\xc5\x41""#);
    }

    #[test]
    fn underscores_in_numbers_vanish_but_not_in_names_and_strings() {
        let text = guard(r#"a_1 + 1_000 + x{a="1_0"}"#, 1000, 20).map(|g| g.text).unwrap_or_default();
        assert_eq!(text, r#"a_1 + 1000 + x{a="1_0"}"#);
    }
}
