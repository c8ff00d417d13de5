//! The text format of metrics: one line at a time, so that a broken line costs only itself.
//!
//! Reads Prometheus text format 0.0.4 (times in milliseconds) and OpenMetrics 1.0 (times in seconds); writes 0.0.4.
//! Exemplars after `#` are passed over. Sources: Prometheus "Exposition formats"; OpenMetrics 1.0.

use std::fmt::Write as _;

/// Longest line that is read.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// How a time on a line is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// OpenMetrics: seconds, with fraction.
    Seconds,
    /// Prometheus text format: milliseconds.
    Milliseconds,
}

/// One sample line.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleLine {
    /// Labels with `__name__`, sorted by name, no empty values.
    pub labels: Vec<(String, String)>,
    /// Value.
    pub value: f64,
    /// Time in milliseconds since the epoch, where the line has one.
    pub timestamp_ms: Option<i64>,
}

/// What a line is.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A sample.
    Sample(SampleLine),
    /// `# TYPE name type`.
    Type {
        /// Family.
        name: String,
        /// Type as written.
        kind: String,
    },
    /// `# HELP name text`.
    Help {
        /// Family.
        name: String,
        /// Help text.
        text: String,
    },
    /// `# EOF`: the end of an OpenMetrics document.
    Eof,
    /// A blank line or a comment.
    Other,
}

/// What is wrong with a line, and at which byte (from 1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct LineError {
    /// Column, from 1, in bytes.
    pub column: usize,
    /// What was wrong.
    pub reason: String,
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn word(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn fail<T>(&self, reason: impl Into<String>) -> Result<T, LineError> {
        Err(LineError { column: self.at + 1, reason: reason.into() })
    }

    fn quoted(&mut self) -> Result<String, LineError> {
        if !self.eat('"') {
            return self.fail("expected a quoted value");
        }
        let mut out = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += offset + 1;
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => out.push(c),
                    Some((_, c)) => out.extend(['\\', c]),
                    None => break,
                },
                c => out.push(c),
            }
        }
        self.fail("the quoted value has no end")
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':'
}

fn is_name_part(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit()
}

/// Reads one line (without its line end).
///
/// # Errors
/// The column and the reason.
pub fn parse_line(line: &str, unit: TimeUnit) -> Result<Line, LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError { column: 1, reason: format!("longer than {MAX_LINE_BYTES} bytes") });
    }
    let mut cursor = Cursor { text: line.trim_end(), at: 0 };
    cursor.skip_blanks();
    match cursor.peek() {
        None => Ok(Line::Other),
        Some('#') => Ok(parse_comment(cursor.rest())),
        Some(_) => parse_sample(&mut cursor, unit).map(Line::Sample),
    }
}

fn parse_comment(text: &str) -> Line {
    let body = text.trim_start_matches('#').trim_start();
    if body == "EOF" {
        return Line::Eof;
    }
    let mut words = body.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("TYPE"), Some(name), Some(kind)) => Line::Type { name: name.into(), kind: kind.trim().into() },
        (Some("HELP"), Some(name), text) => Line::Help {
            name: name.into(),
            text: text.unwrap_or("").replace("\\n", "\n").replace("\\\\", "\\"),
        },
        _ => Line::Other,
    }
}

fn parse_sample(cursor: &mut Cursor<'_>, unit: TimeUnit) -> Result<SampleLine, LineError> {
    let mut labels: Vec<(String, String)> = Vec::new();
    if cursor.peek().is_some_and(is_name_start) {
        labels.push(("__name__".into(), cursor.word(is_name_part).into()));
    } else if cursor.peek() != Some('{') {
        return cursor.fail("expected a metric name");
    }
    cursor.skip_blanks();
    if cursor.eat('{') {
        parse_labels(cursor, &mut labels)?;
    }
    if !labels.iter().any(|(name, _)| name == "__name__") {
        return cursor.fail("the line has no metric name");
    }
    labels.retain(|(_, value)| !value.is_empty());
    labels.sort();
    if let Some(pair) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return cursor.fail(format!("label {} stands twice", pair[0].0));
    }
    cursor.skip_blanks();
    let value = parse_number(cursor, "value")?;
    cursor.skip_blanks();
    let timestamp_ms = match cursor.peek() {
        None | Some('#') => None,
        Some(_) => Some(parse_time(cursor, unit)?),
    };
    cursor.skip_blanks();
    if !matches!(cursor.peek(), None | Some('#')) {
        return cursor.fail("unexpected text after the sample");
    }
    Ok(SampleLine { labels, value, timestamp_ms })
}

fn parse_labels(cursor: &mut Cursor<'_>, labels: &mut Vec<(String, String)>) -> Result<(), LineError> {
    loop {
        cursor.skip_blanks();
        if cursor.eat('}') {
            return Ok(());
        }
        let quoted_name = cursor.peek() == Some('"');
        let name = if quoted_name { cursor.quoted()? } else { cursor.word(is_name_part).to_owned() };
        cursor.skip_blanks();
        if quoted_name && !matches!(cursor.peek(), Some('=')) {
            labels.push(("__name__".into(), name));
        } else {
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                return cursor.fail("expected a label name");
            }
            if !cursor.eat('=') {
                return cursor.fail(format!("expected = after label {name}"));
            }
            cursor.skip_blanks();
            labels.push((name, cursor.quoted()?));
        }
        cursor.skip_blanks();
        if !cursor.eat(',') && cursor.peek() != Some('}') {
            return cursor.fail("expected , or } after a label");
        }
    }
}

fn parse_number(cursor: &mut Cursor<'_>, what: &str) -> Result<f64, LineError> {
    let word = cursor.word(|c| !c.is_whitespace());
    let parsed = match word {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => word.parse().ok(),
    };
    match parsed {
        Some(number) => Ok(number),
        None => {
            cursor.at -= word.len();
            cursor.fail(format!("{what} {word:?} is not a number"))
        }
    }
}

fn parse_time(cursor: &mut Cursor<'_>, unit: TimeUnit) -> Result<i64, LineError> {
    let start = cursor.at;
    let number = parse_number(cursor, "time")?;
    let ms = match unit {
        TimeUnit::Seconds => number * 1_000.0,
        TimeUnit::Milliseconds => number,
    };
    // Beyond 2^53 ms a double no longer holds every millisecond.
    if !ms.is_finite() || ms.abs() > 9_007_199_254_740_992.0 {
        cursor.at = start;
        return cursor.fail("time is out of range");
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
    let ms = ms.round() as i64;
    Ok(ms)
}

/// Writes a number as Prometheus does.
#[must_use]
pub fn format_value(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        format!("{value}")
    }
}

/// Appends one sample line in text format 0.0.4. `labels` may hold `__name__`, which is written first.
pub fn write_sample(
    out: &mut String,
    labels: &[(impl AsRef<str>, impl AsRef<str>)],
    value: f64,
    timestamp_ms: Option<i64>,
) {
    if let Some((_, name)) = labels.iter().find(|(name, _)| name.as_ref() == "__name__") {
        out.push_str(name.as_ref());
    }
    let mut first = true;
    for (name, value) in labels.iter().filter(|(name, _)| name.as_ref() != "__name__") {
        out.push(if first { '{' } else { ',' });
        first = false;
        let escaped = value.as_ref().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{}=\"{escaped}\"", name.as_ref());
    }
    if !first {
        out.push('}');
    }
    let _ = write!(out, " {}", format_value(value));
    if let Some(ms) = timestamp_ms {
        let _ = write!(out, " {ms}");
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(line: &str) -> SampleLine {
        match parse_line(line, TimeUnit::Seconds).unwrap() {
            Line::Sample(sample) => sample,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn lines_of_both_formats_are_read() {
        let s = sample(r#"http_requests_total{method="post",path="C:\\DIR\"\n"} 1027 1395066363.5"#);
        assert_eq!(s.timestamp_ms, Some(1_395_066_363_500));
        assert_eq!(s.value, 1027.0);
        assert_eq!(
            s.labels,
            [("__name__", "http_requests_total"), ("method", "post"), ("path", "C:\\DIR\"\n")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        assert!(sample("a NaN").value.is_nan());
        assert_eq!(sample("a{} +Inf # {trace=\"1\"} 3").value, f64::INFINITY);
        assert_eq!(sample("a{b=\"c\",} 1").labels.len(), 2);
        assert_eq!(sample("{\"utf8.name\",b=\"c\"} 1").labels[0].1, "utf8.name");
        assert_eq!(parse_line("# EOF", TimeUnit::Seconds), Ok(Line::Eof));
        assert_eq!(parse_line("  ", TimeUnit::Seconds), Ok(Line::Other));
        assert_eq!(
            parse_line("# TYPE a gauge", TimeUnit::Seconds),
            Ok(Line::Type { name: "a".into(), kind: "gauge".into() })
        );
    }

    #[test]
    fn a_broken_line_says_where_and_why() {
        for (line, column, reason) in [
            ("9a 1", 1, "expected a metric name"),
            ("a", 2, "value \"\" is not a number"),
            ("a x", 3, "value \"x\" is not a number"),
            ("a{b} 1", 4, "expected = after label b"),
            ("a{b=\"c} 1", 6, "the quoted value has no end"),
            ("a{b=\"c\" d=\"e\"} 1", 9, "expected , or } after a label"),
            ("a{b=\"1\",b=\"2\"} 1", 15, "label b stands twice"),
            ("a 1 2 3", 7, "unexpected text after the sample"),
            ("a 1 1e300", 5, "time is out of range"),
        ] {
            let error = parse_line(line, TimeUnit::Seconds).unwrap_err();
            assert_eq!((error.column, error.reason.as_str()), (column, reason), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_ends_in_a_line_or_an_error(line in ".{0,80}") {
            let _ = parse_line(&line, TimeUnit::Milliseconds);
        }

        #[test]
        fn what_is_written_reads_back(value in any::<f64>(), label in ".{1,12}", time in 0i64..4_000_000_000_000) {
            let labels = vec![("__name__".to_owned(), "m".to_owned()), ("l".to_owned(), label)];
            let mut text = String::new();
            write_sample(&mut text, &labels, value, Some(time));
            let Line::Sample(back) = parse_line(text.trim_end_matches('\n'), TimeUnit::Milliseconds).unwrap() else { panic!() };
            prop_assert!(back.value == value || (back.value.is_nan() && value.is_nan()));
            prop_assert_eq!(back.labels, labels);
            prop_assert_eq!(back.timestamp_ms, Some(time));
        }
    }
}
