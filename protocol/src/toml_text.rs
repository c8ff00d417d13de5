//! Reads a typed TOML text and says, where it is wrong, in which file, line, column and field.
//! Pure: the caller reads the file.

use serde::de::DeserializeOwned;

/// What is wrong with a configuration text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {}{reason}", if field.is_empty() { String::new() } else { format!("{field}: ") })]
pub struct TomlTextError {
    /// Name of the file, as the reader knows it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// Dotted path of the field; empty where the text is no TOML at all.
    pub field: String,
    /// What is wrong, one line.
    pub reason: String,
}

/// Line and column (both from 1) of a byte offset.
#[must_use]
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Line and column of the value at a dotted path such as `http.listen`, for errors that are found after parsing.
#[must_use]
pub fn place_of(text: &str, path: &str) -> Option<(usize, usize)> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut keys = path.split('.').peekable();
    while let Some(key) = keys.next() {
        let value = table.get(key)?;
        if keys.peek().is_none() {
            return Some(line_and_column(text, value.span().start));
        }
        table = value.get_ref().as_table()?;
    }
    None
}

/// Parses `text`; `file` is only used in errors.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, TomlTextError> {
    let located = |error: &toml::de::Error, field: String| {
        let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
        let reason = error.message().lines().collect::<Vec<_>>().join(" ");
        TomlTextError { file: file.to_owned(), line, column, field, reason }
    };
    let deserializer = toml::Deserializer::parse(text).map_err(|error| located(&error, String::new()))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        located(error.inner(), if path == "." { String::new() } else { path })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Top {
        #[expect(dead_code, reason = "only its parsing is tested")]
        http: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its parsing is tested")]
        port: u16,
    }

    #[test]
    fn a_value_is_found_by_its_path() {
        let text = "a = 1\n[http]\nport = 7\n";
        assert_eq!(place_of(text, "http.port"), Some((3, 8)));
        assert_eq!(place_of(text, "http.host"), None);
        assert_eq!(place_of(text, "a.b"), None);
    }

    #[test]
    fn an_error_names_file_line_and_field() {
        for (text, wanted) in [
            ("[http]\nport = 70000\n", "a.toml:2:8: http.port: invalid value: integer `70000`, expected u16"),
            ("[http]\nport = \n", "a.toml:2:"),
            ("[http]\nport = 1\nhost = 2\n", "a.toml:3:1: http.host: unknown field `host`, expected `port`"),
        ] {
            let error = parse::<Top>("a.toml", text).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
