//! label_replace and label_join: change one label of every series.

use regex::Regex;

use crate::eval::{Budget, Series};
use crate::functions::is_valid_label_name;
use crate::labels::METRIC_NAME;
use crate::{QueryError, anchored_regex};

/// Longest value that a label may become: calls within calls could double it each time.
const MAX_VALUE_BYTES: usize = 64 << 10;

/// What happens to the destination label.
pub(crate) enum Change {
    /// If the source label matches, the destination becomes the expanded template.
    Replace { destination: String, template: String, source: String, regex: Regex },
    /// The destination becomes the source labels' values, joined.
    Join { destination: String, separator: String, sources: Vec<String> },
}

impl Change {
    /// From the string arguments: destination, replacement, source, pattern.
    pub(crate) fn replace(texts: &[String]) -> Result<Self, QueryError> {
        let [destination, template, source, pattern] = texts else {
            return Err(QueryError::execution("label_replace needs four strings"));
        };
        let regex = anchored_regex(pattern).map_err(|_| {
            QueryError::execution(format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
        check_name(destination, "destination label name in label_replace()")?;
        Ok(Self::Replace {
            destination: destination.clone(),
            template: template.clone(),
            source: source.clone(),
            regex,
        })
    }

    /// From the string arguments: destination, separator, sources.
    pub(crate) fn join(texts: &[String]) -> Result<Self, QueryError> {
        let [destination, separator, sources @ ..] = texts else {
            return Err(QueryError::execution("label_join needs a label and a separator"));
        };
        for source in sources {
            check_name(source, "source label name in label_join()")?;
        }
        check_name(destination, "destination label name in label_join()")?;
        Ok(Self::Join {
            destination: destination.clone(),
            separator: separator.clone(),
            sources: sources.to_vec(),
        })
    }

    pub(crate) fn apply(&self, series: &mut Series, budget: &Budget) -> Result<(), QueryError> {
        let value = |name: &str| series.labels.get(name).unwrap_or("");
        let mut text = String::new();
        let destination = match self {
            Self::Replace { destination, template, source, regex } => {
                let source = value(source);
                let Some(captures) = regex.captures(source) else { return Ok(()) };
                // No group is longer than the source.
                let groups = template.bytes().filter(|b| *b == b'$').count();
                if template.len().saturating_add(groups.saturating_mul(source.len())) > MAX_VALUE_BYTES {
                    return Err(too_long("label_replace"));
                }
                captures.expand(template, &mut text);
                destination
            }
            Self::Join { destination, separator, sources } => {
                for (at, source) in sources.iter().enumerate() {
                    if at > 0 {
                        text.push_str(separator);
                    }
                    text.push_str(value(source));
                    if text.len() > MAX_VALUE_BYTES {
                        return Err(too_long("label_join"));
                    }
                }
                destination
            }
        };
        budget.hold_text(text.len())?;
        series.labels = series.labels.with(destination, &text);
        if destination == METRIC_NAME {
            // A name that the query sets itself is not to be removed at the end.
            series.drop_name = false;
        }
        Ok(())
    }
}

fn too_long(function: &str) -> QueryError {
    QueryError::execution(format!(
        "{function}() would make a label value of more than {MAX_VALUE_BYTES} bytes"
    ))
}

fn check_name(name: &str, what: &str) -> Result<(), QueryError> {
    if is_valid_label_name(name) {
        return Ok(());
    }
    Err(QueryError::execution(format!("invalid {what}: {name}")))
}
