//! Templates of labels and annotations: the part of Go's `text/template` that rule files use, with Prometheus'
//! variables `$labels`, `$externalLabels`, `$externalURL`, `$value` and functions. Pure.
//!
//! Own code, because the crate for Go templates does not end on some malformed texts.
//!
//! Invariants: a text is checked as a whole when it is made: syntax, variables, functions and their number of
//! arguments; evaluation always ends and its result is bounded. There are no loops, definitions or queries.

mod functions;
mod parse;
mod print;

use std::sync::Arc;

use self::functions::Function;
use self::parse::{Node, Operand, Pipeline};
use crate::records::rules::Pairs;

/// Longest text that a template gives, bytes.
const MAX_TEXT_BYTES: usize = 8 * 1024;

/// A value inside of a template.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
    Whole(i64),
    Bool(bool),
    Labels(Pairs),
}

impl Value {
    /// As Go prints it.
    fn print(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => print::float(*number),
            Self::Whole(number) => number.to_string(),
            Self::Bool(flag) => flag.to_string(),
            Self::Labels(labels) => {
                let pairs: Vec<String> =
                    labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("map[{}]", pairs.join(" "))
            }
        }
    }

    /// Whether a condition holds: neither empty, zero nor false.
    fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => *number != 0.0,
            Self::Whole(number) => *number != 0,
            Self::Bool(flag) => *flag,
            Self::Labels(labels) => !labels.is_empty(),
        }
    }
}

/// A text with placeholders, checked when it is made.
#[derive(Debug, Clone)]
pub(super) struct Text {
    source: String,
    nodes: Arc<[Node]>,
}

impl Text {
    /// A text that is taken as it is.
    pub(super) fn fixed(source: &str) -> Self {
        Self { source: source.to_owned(), nodes: Arc::from([Node::Text(source.to_owned())]) }
    }

    /// Parses a text.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        Ok(Self { source: source.to_owned(), nodes: parse::parse(source)?.into() })
    }

    /// As written in the file.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Fills the placeholders in.
    pub(super) fn render(&self, labels: &Pairs, value: f64) -> Result<String, String> {
        let mut out = String::new();
        Scope { labels, value }.write(&self.nodes, &mut out)?;
        out.truncate(out.floor_char_boundary(MAX_TEXT_BYTES));
        Ok(out)
    }
}

/// What placeholders see.
struct Scope<'a> {
    labels: &'a Pairs,
    value: f64,
}

impl Scope<'_> {
    fn write(&self, nodes: &[Node], out: &mut String) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Action(pipeline) => out.push_str(&self.pipeline(pipeline)?.print()),
                Node::If { branches, otherwise } => {
                    let mut chosen = otherwise;
                    for (condition, body) in branches {
                        if self.pipeline(condition)?.is_true() {
                            chosen = body;
                            break;
                        }
                    }
                    self.write(chosen, out)?;
                }
            }
        }
        Ok(())
    }

    fn pipeline(&self, pipeline: &Pipeline) -> Result<Value, String> {
        let mut last = None;
        for command in &pipeline.commands {
            let arguments = command.arguments.iter().map(|operand| self.operand(operand));
            let mut arguments = arguments.collect::<Result<Vec<_>, String>>()?;
            arguments.extend(last.take());
            last = Some(match command.function {
                Some(Function { call, name, .. }) => {
                    call(&arguments).map_err(|error| format!("{name}: {error}"))?
                }
                // Checked by the parser: one operand and nothing before it.
                None => arguments.pop().unwrap_or(Value::Text(String::new())),
            });
        }
        last.ok_or_else(|| "an empty placeholder".to_owned())
    }

    fn operand(&self, operand: &Operand) -> Result<Value, String> {
        Ok(match operand {
            Operand::Fixed(value) => value.clone(),
            Operand::Value => Value::Number(self.value),
            Operand::Labels => Value::Labels(self.labels.clone()),
            // A label that is not there is an empty text, as in Prometheus.
            Operand::Label(name) => Value::Text(self.labels.get(name).cloned().unwrap_or_default()),
            Operand::Nested(pipeline) => self.pipeline(pipeline)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels() -> Pairs {
        Pairs::from([
            ("instance".to_owned(), "web:9100".to_owned()),
            ("mountpoint".to_owned(), "/data".to_owned()),
        ])
    }

    #[test]
    fn labels_values_and_functions_are_filled_in() {
        for (source, value, wanted) in [
            ("plain", 1.0, "plain"),
            ("filesystem:{{ $labels.mountpoint }}", 1.0, "filesystem:/data"),
            ("{{$labels.mountpoint}} {{ $value }}", 95.5, "/data 95.5"),
            ("{{ .Labels.mountpoint }} {{ .Value }}", 3.0, "/data 3"),
            ("[{{ $labels.nothing }}{{ $externalLabels.x }}{{ $externalURL }}]", 1.0, "[]"),
            ("{{ $labels }}", 1.0, "map[instance:web:9100 mountpoint:/data]"),
            ("a {{- /* note */ -}} b", 1.0, "ab"),
            ("a {{- $value -}} b", 1.0, "a1b"),
            ("{{ printf \"%.1f%% of %s\" $value $labels.mountpoint }}", 91.26, "91.3% of /data"),
            ("{{ $value | printf \"%.0f\" }}", 91.7, "92"),
            ("{{ $value | humanize }}", 1_234_567.0, "1.235M"),
            ("{{ humanize $value }}", 0.000_12, "120u"),
            ("{{ $value | humanize1024 }}B", 1_572_864.0, "1.5MiB"),
            ("{{ $value | humanizePercentage }}", 0.914, "91.4%"),
            ("{{ $value | humanizeDuration }}", 93_784.0, "1d 2h 3m 4s"),
            ("{{ $value | humanizeDuration }}", 0.25, "250ms"),
            ("{{ $value | humanizeTimestamp }}", 1_795_503_600.0, "2026-11-24 07:00:00 +0000 UTC"),
            ("{{ $labels.instance | stripPort | toUpper }}", 1.0, "WEB"),
            ("{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}", 1.0, "web"),
            ("{{ if gt $value 90.0 }}ya{{ else }}tidak{{ end }}", 91.0, "ya"),
            ("{{ if gt $value 95.0 }}a{{ else if gt $value 90 }}b{{ else }}c{{ end }}", 91.0, "b"),
            ("{{ if $labels.nothing }}a{{ end }}b", 91.0, "b"),
            ("{{ if and (eq $labels.mountpoint \"/data\") (not (lt $value 1.0)) }}ya{{ end }}", 2.0, "ya"),
            ("{{ if match \"^web\" $labels.instance }}ya{{ end }} — é", 2.0, "ya — é"),
            ("{{ `raw \\n` }}{{ \"\\u00e9\\t\" }}", 2.0, "raw \\né\t"),
            ("{{ index $labels \"mountpoint\" }} {{ len \"abc\" }}", 2.0, "/data 3"),
        ] {
            let text = Text::parse(source).unwrap_or_else(|error| panic!("{source}: {error}"));
            assert_eq!(text.render(&labels(), value).as_deref(), Ok(wanted), "{source}");
        }
    }

    #[test]
    fn a_wrong_template_is_refused_when_it_is_read() {
        for (source, wanted) in [
            ("{{ $labels.a ", "a placeholder is not closed"),
            ("{{ $nothing }}", "unknown variable $nothing"),
            ("{{ .Nothing }}", "unknown field .Nothing"),
            ("{{ nothing 1 }}", "unknown function nothing"),
            ("{{ query \"up\" }}", "unknown function query"),
            ("{{ humanize }}", "humanize takes 1 argument, not 0"),
            ("{{ $value | humanize 1 }}", "humanize takes 1 argument, not 2"),
            ("{{ 1 | $value }}", "only a function can take"),
            ("{{ $value 1 }}", "only a function can take"),
            ("{{ if }}a{{ end }}", "an empty placeholder"),
            ("{{ if true }}", "an if is not closed by end"),
            ("{{ end }}", "end without if"),
            ("{{ else }}", "else without if"),
            ("{{ if true }}{{ else }}{{ else }}{{ end }}", "else after else"),
            ("{{ range .Labels }}{{ end }}", "range is not supported"),
            ("{{ (1 }}", "a bracket is not closed"),
            ("{{ 1) }}", "a bracket is closed that is not open"),
            ("{{ \"a }}", "a text is not closed"),
            ("{{ | }}", "an empty placeholder"),
            ("{{ é }}", "unexpected"),
            ("{{ $value.x }}", "has no fields"),
            ("{{ match \"(\" \"a\" }}", "regex"),
        ] {
            let error = Text::parse(source).and_then(|text| text.render(&labels(), 1.0)).unwrap_err();
            assert!(error.contains(wanted), "{source}: {error}");
        }
        let deep = format!("{{{{ {}1{} }}}}", "(".repeat(1_000), ")".repeat(1_000));
        assert!(Text::parse(&deep).unwrap_err().contains("nested"));
        assert!(Text::parse(&"{{ if true }}".repeat(1_000)).unwrap_err().contains("nested"));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(source in "(\\{\\{|\\}\\}|if|else|end|[ -~]|\\PC|\\n){0,40}") {
            if let Ok(text) = Text::parse(&source) {
                let _ = text.render(&labels(), 1.5);
            }
        }
    }
}
