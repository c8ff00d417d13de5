//! Label matchers as a query writes them, and their compiled form for whoever stores series.

use std::borrow::Cow;
use std::sync::Arc;

use regex::Regex;

use crate::QueryError;

/// How a matcher compares a label with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// One condition on one label. An absent label counts as the empty string.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Matcher {
    /// Label name; the metric name is `__name__`.
    pub name: Arc<str>,
    /// Kind of comparison.
    pub op: MatchOp,
    /// Value, or the pattern of a regular expression (matched against the whole value, `.` matches newlines).
    pub value: Arc<str>,
}

/// A pattern that does not compile.
#[derive(Debug, Clone, thiserror::Error)]
#[error("error parsing regexp: {0}")]
pub struct RegexError(String);

impl Matcher {
    /// A matcher from its parts.
    pub fn new(name: impl Into<Arc<str>>, op: MatchOp, value: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), op, value: value.into() }
    }

    /// The matcher with its pattern, if it has one, as the crate `regex` takes it: Go is more lenient with braces.
    ///
    /// # Errors
    /// The pattern is no valid regular expression, or too large.
    pub fn portable(self) -> Result<Self, RegexError> {
        if matches!(self.op, MatchOp::Equal | MatchOp::NotEqual) {
            return Ok(self);
        }
        let value = match compile(&self.value)?.0 {
            Cow::Borrowed(_) => Arc::clone(&self.value),
            Cow::Owned(pattern) => pattern.into(),
        };
        Ok(Self { value, ..self })
    }

    /// The matcher with its regular expression compiled.
    ///
    /// # Errors
    /// The pattern is no valid regular expression; matchers of a parsed query never fail here.
    pub fn compile(&self) -> Result<CompiledMatcher, RegexError> {
        let test = match self.op {
            MatchOp::Equal => Test::Equal(self.value.clone()),
            MatchOp::NotEqual => Test::NotEqual(self.value.clone()),
            MatchOp::Regex => Test::Regex(anchored_regex(&self.value)?),
            MatchOp::NotRegex => Test::NotRegex(anchored_regex(&self.value)?),
        };
        Ok(CompiledMatcher { name: self.name.clone(), test })
    }
}

/// Conditions of one selector: each costs a walk through what the others left.
const MAX_MATCHERS: usize = 256;
/// Regular expressions among them: each may take some megabytes while a storage looks for the series.
const MAX_PATTERNS: usize = 32;

/// Counts the matchers of one selector.
#[derive(Debug, Default)]
pub struct SelectorBounds {
    matchers: usize,
    patterns: usize,
}

impl SelectorBounds {
    /// To be called with each matcher.
    ///
    /// # Errors
    /// [`QueryError::BadData`]: there are more than a selector may have.
    pub fn count(&mut self, op: MatchOp) -> Result<(), QueryError> {
        self.matchers += 1;
        self.patterns += usize::from(matches!(op, MatchOp::Regex | MatchOp::NotRegex));
        let refused = |most: usize, what: &str| {
            Err(QueryError::BadData(format!("a selector has more than {most} {what}")))
        };
        if self.matchers > MAX_MATCHERS {
            return refused(MAX_MATCHERS, "label matchers");
        }
        if self.patterns > MAX_PATTERNS {
            return refused(MAX_PATTERNS, "regular expressions");
        }
        Ok(())
    }
}

/// A matcher ready to be asked many times.
#[derive(Debug, Clone)]
pub struct CompiledMatcher {
    name: Arc<str>,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Equal(Arc<str>),
    NotEqual(Arc<str>),
    Regex(Regex),
    NotRegex(Regex),
}

impl CompiledMatcher {
    /// The label it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if the value of the label (empty when absent) fulfils the matcher.
    pub fn matches(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal(v) => &**v == value,
            Test::NotEqual(v) => &**v != value,
            Test::Regex(r) => r.is_match(value),
            Test::NotRegex(r) => !r.is_match(value),
        }
    }
}

/// Largest compiled pattern in bytes: what a pattern may cost in memory.
const REGEX_SIZE_LIMIT: usize = 4 << 20;

/// Compiles a pattern the way Prometheus does: anchored at both ends, `.` matches newlines.
///
/// # Errors
/// The pattern is no valid regular expression or compiles to more than 4 MiB.
pub fn anchored_regex(pattern: &str) -> Result<Regex, RegexError> {
    compile(pattern).map(|(_, regex)| regex)
}

/// Bytes that a pattern takes when it is compiled: the least of some bounds that suffices.
///
/// # Errors
/// As [`anchored_regex`].
pub(crate) fn compiled_size(pattern: &str) -> Result<usize, RegexError> {
    let bounds = [64 << 10, 512 << 10, REGEX_SIZE_LIMIT];
    let mut outcome = Ok(0);
    for bound in bounds {
        outcome = compile_within(pattern, bound).map(|_| bound);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn compile(pattern: &str) -> Result<(Cow<'_, str>, Regex), RegexError> {
    compile_within(pattern, REGEX_SIZE_LIMIT)
}

fn compile_within(pattern: &str, size_limit: usize) -> Result<(Cow<'_, str>, Regex), RegexError> {
    let build = |p: &str| regex::RegexBuilder::new(&format!("^(?s:{p})$")).size_limit(size_limit).build();
    // A group must not close the wrapper's own: "a)(b" is invalid alone.
    let well_formed = |p: &str| regex::RegexBuilder::new(p).size_limit(size_limit).build().is_ok();
    if well_formed(pattern)
        && let Ok(regex) = build(pattern)
    {
        return Ok((Cow::Borrowed(pattern), regex));
    }
    // Go takes `{` as itself where no repetition follows; Rust refuses it.
    let escaped = escape_plain_braces(pattern);
    if !well_formed(&escaped) {
        return Err(RegexError(format!("invalid or unsupported syntax: `{pattern}`")));
    }
    match build(&escaped) {
        Ok(regex) => Ok((Cow::Owned(escaped), regex)),
        Err(_) => Err(RegexError(format!("invalid or unsupported syntax: `{pattern}`"))),
    }
}

/// Escapes every `{` that does not begin a repetition like `{2}`, `{2,}` or `{2,3}`.
fn escape_plain_braces(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 2);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let len = after.chars().next().map_or(0, char::len_utf8);
                out.push('\\');
                out.push_str(&after[..len]);
                rest = &after[len..];
                continue;
            }
            '{' if !is_repetition(after) => out.push_str("\\{"),
            c => out.push(c),
        }
        rest = after;
    }
    out
}

fn is_repetition(after_brace: &str) -> bool {
    let Some((inside, _)) = after_brace.split_once('}') else { return false };
    let (low, high) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        Matcher::new("a", MatchOp::Regex, pattern).compile().is_ok_and(|m| m.matches(value))
    }

    #[test]
    fn patterns_match_the_whole_value_and_dot_matches_newlines() {
        assert!(matches("a|b", "b"));
        assert!(!matches("a|b", "ab"));
        assert!(matches("a.b", "a\nb"));
    }

    #[test]
    fn plain_braces_are_themselves() {
        assert!(matches("a{b}", "a{b}"));
        assert!(matches("a{2}", "aa"));
        let portable = |pattern| Matcher::new("a", MatchOp::Regex, pattern).portable().unwrap().value;
        assert_eq!(&*portable("a{b}{2}"), "a\\{b}{2}");
        assert_eq!(&*portable("a{2}"), "a{2}");
    }

    #[test]
    fn a_pattern_cannot_escape_its_anchors() {
        assert!(anchored_regex("a)|(b").is_err());
    }
}
