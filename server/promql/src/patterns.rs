//! What the regular expressions of a query may cost: the grammar crate compiles all of them and holds them at the same
//! time, so they are weighed one by one before it sees the text.

use crate::QueryError;
use crate::guard::{Token, TokenKind};
use crate::matcher::compiled_size;

/// Memory that all patterns of a query may take together once they are compiled.
const MAX_BYTES: usize = 32 << 20;
/// A compiled pattern takes this much at least.
const LEAST_BYTES: usize = 16 << 10;
/// Most that one character of a plain pattern takes.
const BYTES_OF_A_CHARACTER: usize = 1 << 10;

/// Weighs the patterns of all label matchers.
pub(crate) fn check(text: &str, tokens: &[Token]) -> Result<(), QueryError> {
    let mut bytes = 0_usize;
    for pair in tokens.windows(2) {
        let [operator, literal] = pair else { continue };
        if operator.kind != TokenKind::Punct(b'~') || literal.kind != TokenKind::Text {
            continue;
        }
        // What is no string is refused by the grammar.
        let literal = &text[literal.start..literal.end];
        let Ok(pattern) = promql_parser::util::unquote_string(literal) else { continue };
        bytes = bytes.saturating_add(weight(&pattern)?.max(LEAST_BYTES));
        if bytes > MAX_BYTES {
            return Err(QueryError::BadData(format!(
                "the regular expressions of the query would take more than {MAX_BYTES} bytes"
            )));
        }
    }
    Ok(())
}

/// Bytes that a pattern takes, at most.
fn weight(pattern: &str) -> Result<usize, QueryError> {
    // Without repetitions, classes of Unicode and flags, what a character can grow to is known.
    let plain = !pattern.contains(['{', '\\']) && !pattern.contains("(?");
    if plain && pattern.len() <= 256 {
        return Ok(pattern.len() * BYTES_OF_A_CHARACTER);
    }
    compiled_size(pattern).map_err(|error| QueryError::BadData(error.to_string()))
}

#[cfg(test)]
mod tests {
    use crate::guard::guard;

    #[test]
    fn patterns_are_bounded_together() {
        let select = |pattern: &str, times: usize| {
            let matchers = vec![format!("a!~\"{pattern}\""); times].join(",");
            guard(&format!("{{{matchers}}}"), 1 << 20, 20).map(|_| ())
        };
        assert!(select("(b{900}c?){90}", 5).is_ok());
        assert!(select("(b{900}c?){90}", 20).is_err());
        assert!(select("a.*|b", 500).is_ok());
        assert!(select("a.*|b", 5_000).is_err());
        assert!(select("(b{1000}){1000}", 1).is_err());
        let hosts: Vec<String> = (0..2_000).map(|host| format!("host-{host}.example")).collect();
        assert!(select(&hosts.join("|"), 1).is_ok());
    }
}
