//! Names of metrics and labels for readers that know only the classic character set: the escaping that the `Accept`
//! header asks for, as Prometheus 3 negotiates it. Pure.

use std::fmt::Write as _;

/// How names are written that are not of the classic character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escaping {
    /// As they are, in quotation marks.
    AllowUtf8,
    /// `_` for each character that is not allowed.
    Underscores,
    /// `_dot_` for a dot, `__` for `_` and for each other character that is not allowed.
    Dots,
    /// `U__`, then `__` for `_` and `_HEX_` for each character that is not allowed.
    Values,
}

impl Escaping {
    /// The first known `escaping` of an `Accept` header; underscores where it names none.
    pub(super) fn negotiated(accept: &str) -> Self {
        let parameters = accept.split([',', ';']).filter_map(|part| part.split_once('='));
        let mut asked = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("escaping"));
        let known = asked.find_map(|(_, value)| match value.trim().trim_matches('"') {
            "allow-utf-8" => Some(Self::AllowUtf8),
            "underscores" => Some(Self::Underscores),
            "dots" => Some(Self::Dots),
            "values" => Some(Self::Values),
            _ => None,
        });
        known.unwrap_or(Self::Underscores)
    }

    /// Content type of the text format with these names.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            Self::Underscores => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            Self::Dots => "text/plain; version=0.0.4; charset=utf-8; escaping=dots",
            Self::Values => "text/plain; version=0.0.4; charset=utf-8; escaping=values",
        }
    }

    /// A name as it is written. `colon`: whether it may have colons, which only names of metrics may.
    pub(super) fn name(self, name: &str, colon: bool) -> String {
        let leave = self == Self::AllowUtf8 || (is_plain(name, colon) && self != Self::Dots);
        if leave || name.is_empty() {
            return name.to_owned();
        }
        let mut out = String::with_capacity(name.len());
        if self == Self::Values {
            out.push_str("U__");
        }
        for (at, c) in name.chars().enumerate() {
            match (self, c) {
                (Self::Dots, '.') => out.push_str("_dot_"),
                (Self::Dots | Self::Values, '_') => out.push_str("__"),
                _ if is_allowed(c, at, colon) => out.push(c),
                (Self::Dots, _) => out.push_str("__"),
                (Self::Values, _) => {
                    // Writing into a string cannot fail.
                    let _ = write!(out, "_{:x}_", u32::from(c));
                }
                _ => out.push('_'),
            }
        }
        out
    }
}

fn is_allowed(c: char, at: usize, colon: bool) -> bool {
    c.is_ascii_alphabetic() || c == '_' || (colon && c == ':') || (at > 0 && c.is_ascii_digit())
}

/// Whether a name is of the classic character set.
pub(super) fn is_plain(name: &str, colon: bool) -> bool {
    !name.is_empty() && name.chars().enumerate().all(|(at, c)| is_allowed(c, at, colon))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_scheme_is_taken_and_underscores_are_the_default() {
        for (accept, wanted) in [
            ("", Escaping::Underscores),
            ("*/*", Escaping::Underscores),
            ("text/plain;version=0.0.4;q=0.4", Escaping::Underscores),
            ("text/plain; version=1.0.0; escaping=allow-utf-8; q=0.5, */*;q=0.1", Escaping::AllowUtf8),
            ("text/plain;escaping=new,text/plain;escaping=\"values\"", Escaping::Values),
            ("text/plain;escaping=dots", Escaping::Dots),
            ("text/plain;escaping=underscores,text/plain;escaping=allow-utf-8", Escaping::Underscores),
        ] {
            assert_eq!(Escaping::negotiated(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn names_are_escaped_as_asked() {
        for (name, underscores, dots, values) in [
            ("up", "up", "up", "up"),
            ("a_b", "a_b", "a__b", "a_b"),
            ("http.code_é", "http_code__", "http_dot_code____", "U__http_2e_code___e9_"),
            ("9lives", "_lives", "__lives", "U___39_lives"),
        ] {
            for (escaping, wanted) in [
                (Escaping::Underscores, underscores),
                (Escaping::Dots, dots),
                (Escaping::Values, values),
                (Escaping::AllowUtf8, name),
            ] {
                assert_eq!(escaping.name(name, true), wanted, "{escaping:?}");
            }
        }
        assert_eq!(Escaping::Underscores.name("a:b", false), "a_b", "no label has a colon");
    }
}
