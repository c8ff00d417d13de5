//! Label matchers with Prometheus' meaning: regular expressions match the whole value, `.` matches a newline, and a
//! missing label is the empty string. What a pattern can match is analysed once, so that the index need not scan.

use regex::Regex;
use regex_syntax::hir::literal::Extractor;
use std::sync::Arc;

/// How a matcher compares.
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

/// One condition on one label.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: Arc<str>,
    op: MatchOp,
    value: Arc<str>,
    pattern: Option<Pattern>,
}

/// A regular expression that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("invalid regular expression {pattern:?} for label {name:?}")]
pub struct MatcherError {
    name: String,
    pattern: String,
    #[source]
    source: regex::Error,
}

/// A compiled pattern and what is known of the values it matches.
#[derive(Debug, Clone)]
struct Pattern {
    regex: Regex,
    /// The values it matches, when they can be listed.
    literals: Option<Vec<String>>,
    /// What every match begins with.
    prefix: String,
}

/// Largest compiled program of one pattern, in bytes: a hostile pattern costs no more.
const REGEX_SIZE_LIMIT: usize = 4 << 20;
/// Values that a pattern may list: dashboards choose among hundreds of hosts.
const MAX_LITERALS: usize = 2_000;

impl Matcher {
    /// A matcher; a pattern is compiled here, once.
    ///
    /// # Errors
    /// The pattern is no regular expression, or larger than the limit when compiled.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Pattern::new(value).map_err(|source| {
                MatcherError { name: name.to_owned(), pattern: value.to_owned(), source }
            })?),
        };
        Ok(Self { name: name.into(), op, value: value.into(), pattern })
    }

    /// The label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The comparison.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or pattern.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a value (the empty string for a missing label) satisfies the matcher.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.accepts(value) != self.negative()
    }

    /// Whether the operator is one of the two negations.
    pub(crate) fn negative(&self) -> bool {
        matches!(self.op, MatchOp::NotEqual | MatchOp::NotRegex)
    }

    /// Whether the un-negated condition holds.
    pub(crate) fn accepts(&self, value: &str) -> bool {
        match &self.pattern {
            None => *self.value == *value,
            Some(Pattern { literals: Some(literals), .. }) => {
                literals.binary_search_by(|l| l.as_str().cmp(value)).is_ok()
            }
            Some(pattern) => value.starts_with(&pattern.prefix) && pattern.regex.is_match(value),
        }
    }

    /// The values that the un-negated condition accepts, sorted, when they can be listed.
    pub(crate) fn literals(&self) -> Option<Vec<&str>> {
        match &self.pattern {
            None => Some(vec![&self.value]),
            Some(pattern) => pattern.literals.as_ref().map(|l| l.iter().map(String::as_str).collect()),
        }
    }

    /// What every accepted value begins with.
    pub(crate) fn prefix(&self) -> &str {
        self.pattern.as_ref().map_or(&self.value, |p| &p.prefix)
    }
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, regex::Error> {
        let regex =
            regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(REGEX_SIZE_LIMIT).build()?;
        // Parsed on its own too: `a)(b` would be accepted inside the anchoring group.
        let hir = regex_syntax::ParserBuilder::new()
            .dot_matches_new_line(true)
            .build()
            .parse(pattern)
            .map_err(|error| regex::Error::Syntax(error.to_string()))?;
        let seq = Extractor::new().limit_total(MAX_LITERALS).extract(&hir);
        let prefix = seq
            .longest_common_prefix()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
            .to_owned();
        let exact = seq.is_exact() && hir.properties().look_set().is_empty();
        let literals = seq.literals().filter(|_| exact).and_then(|literals| {
            let texts = literals.iter().map(|l| String::from_utf8(l.as_bytes().to_vec()).ok());
            let mut texts = texts.collect::<Option<Vec<_>>>()?;
            texts.sort();
            texts.dedup();
            Some(texts)
        });
        Ok(Self { regex, literals, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(op: MatchOp, value: &str) -> Matcher {
        Matcher::new("l", op, value).unwrap()
    }

    #[test]
    fn patterns_match_the_whole_value() {
        let cases = [
            ("a.c", "abc", true),
            ("a.c", "xabc", false),
            ("a.c", "a\nc", true),
            ("a|bc", "bc", true),
            ("a|bc", "abc", false),
            ("", "", true),
            (".*", "", true),
            (".+", "", false),
            ("(?i)eth0", "ETH0", true),
            ("^a$", "a", true),
            ("h1.*", "h1", true),
            ("h1.*", "h21", false),
            ("eth[0-2]", "eth2", true),
            ("(a|b)(c|d)", "ad", true),
        ];
        for (pattern, value, wanted) in cases {
            assert_eq!(matcher(MatchOp::Regex, pattern).matches(value), wanted, "{pattern} {value}");
            assert_eq!(matcher(MatchOp::NotRegex, pattern).matches(value), !wanted, "not {pattern} {value}");
        }
    }

    #[test]
    fn alternations_are_listed_and_prefixes_found() {
        assert_eq!(matcher(MatchOp::Regex, "b|a").literals(), Some(vec!["a", "b"]));
        assert_eq!(matcher(MatchOp::Regex, "node_(a|b)").literals(), Some(vec!["node_a", "node_b"]));
        let hosts: Vec<String> = (1000..2500).map(|host| format!("h{host}")).collect();
        assert_eq!(matcher(MatchOp::Regex, &hosts.join("|")).literals().map(|list| list.len()), Some(1500));
        assert_eq!(matcher(MatchOp::Regex, "h1.*").literals(), None);
        assert_eq!(matcher(MatchOp::Regex, "h1.*").prefix(), "h1");
        assert_eq!(matcher(MatchOp::Regex, r"a\b").literals(), None);
    }

    #[test]
    fn broken_and_oversize_patterns_are_refused() {
        for pattern in ["(", "a)(b", r"\p{L}{1000}{1000}"] {
            assert!(Matcher::new("l", MatchOp::Regex, pattern).is_err(), "{pattern}");
        }
    }
}
