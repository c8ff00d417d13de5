//! label_replace and label_join: change one label of every series.

use regex::Regex;

use crate::eval::Series;
use crate::functions::is_valid_label_name;
use crate::labels::METRIC_NAME;
use crate::{QueryError, anchored_regex};

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

    pub(crate) fn apply(&self, series: &mut Series) {
        let value = |name: &str| series.labels.get(name).unwrap_or("").to_owned();
        let (destination, text) = match self {
            Self::Replace { destination, template, source, regex } => {
                let source = value(source);
                let Some(captures) = regex.captures(&source) else { return };
                let mut text = String::new();
                captures.expand(template, &mut text);
                (destination, text)
            }
            Self::Join { destination, separator, sources } => {
                let values: Vec<String> = sources.iter().map(|s| value(s)).collect();
                (destination, values.join(separator))
            }
        };
        series.labels = series.labels.with(destination, &text);
        if destination == METRIC_NAME {
            // A name that the query sets itself is not to be removed at the end.
            series.drop_name = false;
        }
    }
}

fn check_name(name: &str, what: &str) -> Result<(), QueryError> {
    if is_valid_label_name(name) {
        return Ok(());
    }
    Err(QueryError::execution(format!("invalid {what}: {name}")))
}
