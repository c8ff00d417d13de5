//! Go templates of labels and annotations, as Prometheus has them: `$labels`, `$value` and the functions that shape
//! numbers. Pure.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use gtmpl::{Context, Func, FuncError, Template, Value};

use crate::records::rules::Pairs;

/// Longest text that a template gives, bytes.
const MAX_TEXT_BYTES: usize = 8 * 1024;

/// Defines the variables that rule files use.
const PRELUDE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// A text with placeholders, checked when it is made.
#[derive(Clone)]
pub(super) struct Text {
    source: String,
    /// `None` for a text without placeholders.
    template: Option<Arc<Template>>,
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Text").field(&self.source).finish()
    }
}

impl Text {
    /// Parses a text and tries it out without labels.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        if !source.contains("{{") {
            return Ok(Self::fixed(source));
        }
        let mut template = Template::default();
        template.add_funcs(FUNCTIONS);
        template.parse(format!("{PRELUDE}{source}")).map_err(|error| error.to_string())?;
        let text = Self { source: source.to_owned(), template: Some(Arc::new(template)) };
        text.render(&Pairs::new(), 0.0)?;
        Ok(text)
    }

    /// A text that is taken as it is.
    pub(super) fn fixed(source: &str) -> Self {
        Self { source: source.to_owned(), template: None }
    }

    /// As written in the file.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Fills the placeholders in.
    pub(super) fn render(&self, labels: &Pairs, value: f64) -> Result<String, String> {
        let Some(template) = &self.template else { return Ok(self.source.clone()) };
        let labels: HashMap<String, Value> =
            labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        let context = HashMap::from([
            ("Labels".to_owned(), Value::Map(labels)),
            ("ExternalLabels".to_owned(), Value::Map(HashMap::new())),
            ("ExternalURL".to_owned(), Value::from("")),
            ("Value".to_owned(), Value::from(value)),
        ]);
        let text = template.render(&Context::from(Value::Map(context))).map_err(|error| error.to_string())?;
        // A label that is not there is an empty text, as in Prometheus.
        let mut text = text.replace("<no value>", "");
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        Ok(text)
    }
}

const FUNCTIONS: &[(&str, Func)] = &[
    ("humanize", humanize),
    ("humanize1024", humanize_1024),
    ("humanizePercentage", humanize_percentage),
    ("humanizeDuration", humanize_duration),
    ("humanizeTimestamp", humanize_timestamp),
    ("toUpper", |args| Ok(text("toUpper", args)?.to_uppercase().into())),
    ("toLower", |args| Ok(text("toLower", args)?.to_lowercase().into())),
    ("title", |args| Ok(title(&text("title", args)?).into())),
    ("stripPort", |args| Ok(strip_port(&text("stripPort", args)?).into())),
];

fn argument<'a>(name: &str, args: &'a [Value]) -> Result<&'a Value, FuncError> {
    match args {
        [value] => Ok(value),
        _ => Err(FuncError::ExactlyXArgs(name.to_owned(), 1)),
    }
}

fn text(name: &str, args: &[Value]) -> Result<String, FuncError> {
    Ok(match argument(name, args)? {
        Value::NoValue => String::new(),
        other => other.to_string(),
    })
}

fn number(name: &str, args: &[Value]) -> Result<f64, FuncError> {
    let value = argument(name, args)?;
    let parsed = match value {
        Value::Number(number) => number.as_f64().or_else(|| number.as_i64().map(|whole| whole as f64)),
        Value::String(text) => text.parse().ok(),
        // Templates are tried out without labels.
        Value::NoValue => Some(0.0),
        _ => None,
    };
    parsed.ok_or_else(|| FuncError::Generic(format!("{name}: {value} is not a number")))
}

/// Four significant digits without trailing zeros, as `%.4g`.
fn four_digits(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".to_owned()
        } else {
            if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
        };
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    // Rounding first, because it may change the power: 999.96 has four digits as 1000.
    let scientific = format!("{value:.3e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |digits: &str| {
        if digits.contains('.') {
            digits.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            digits.to_owned()
        }
    };
    if (-4..4).contains(&exponent) {
        let decimals = usize::try_from(3 - exponent).unwrap_or(0);
        return trim(&format!("{value:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
}

fn scaled(value: f64, base: f64, large: &[&str], small: &[&str]) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    let (mut value, mut prefix) = (value, "");
    if value.abs() >= 1.0 {
        for unit in large {
            if value.abs() < base {
                break;
            }
            prefix = unit;
            value /= base;
        }
        return format!("{}{prefix}", four_digits(value));
    }
    for unit in small {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = unit;
        value *= base;
    }
    format!("{}{prefix}", four_digits(value))
}

fn humanize(args: &[Value]) -> Result<Value, FuncError> {
    let value = number("humanize", args)?;
    let (large, small) = (["k", "M", "G", "T", "P", "E", "Z", "Y"], ["m", "u", "n", "p", "f", "a", "z", "y"]);
    Ok(scaled(value, 1_000.0, &large, &small).into())
}

fn humanize_1024(args: &[Value]) -> Result<Value, FuncError> {
    let value = number("humanize1024", args)?;
    let large = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
    Ok(scaled(value, 1_024.0, &large, &[]).into())
}

fn humanize_percentage(args: &[Value]) -> Result<Value, FuncError> {
    Ok(format!("{}%", four_digits(number("humanizePercentage", args)? * 100.0)).into())
}

fn humanize_duration(args: &[Value]) -> Result<Value, FuncError> {
    let value = number("humanizeDuration", args)?;
    if !value.is_finite() {
        return Ok(four_digits(value).into());
    }
    let (sign, value) = if value < 0.0 { ("-", -value) } else { ("", value) };
    if value < 1.0 {
        let text = scaled(value, 1_000.0, &[], &["m", "u", "n", "p"]);
        return Ok(format!("{sign}{text}s").into());
    }
    // Seconds of any sensible length fit; longer ones saturate.
    let whole = value as u64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3_600 % 24, whole / 86_400);
    Ok(match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(value)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
    .into())
}

fn humanize_timestamp(args: &[Value]) -> Result<Value, FuncError> {
    let value = number("humanizeTimestamp", args)?;
    let at = jiff::Timestamp::from_millisecond((value * 1_000.0) as i64);
    Ok(at.map_or_else(|_| four_digits(value), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).into())
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .map(|c| {
            let upper = start && c.is_alphabetic();
            start = c.is_whitespace();
            if upper { c.to_uppercase().to_string() } else { c.to_string() }
        })
        .collect()
}

fn strip_port(text: &str) -> String {
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host.to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, value: f64) -> String {
        let labels = Pairs::from([
            ("instance".to_owned(), "web:9100".to_owned()),
            ("mountpoint".to_owned(), "/data".to_owned()),
        ]);
        Text::parse(source).unwrap().render(&labels, value).unwrap()
    }

    #[test]
    fn labels_values_and_functions_are_filled_in() {
        for (source, value, wanted) in [
            ("plain", 1.0, "plain"),
            ("filesystem:{{ $labels.mountpoint }}", 1.0, "filesystem:/data"),
            ("{{$labels.mountpoint}} {{ $value }}", 95.5, "/data 95.5"),
            ("{{ .Labels.mountpoint }} {{ .Value }}", 3.0, "/data 3"),
            ("[{{ $labels.nothing }}]", 1.0, "[]"),
            ("{{ printf \"%.1f\" $value }} %", 91.26, "91.3 %"),
            ("{{ $value | printf \"%.0f\" }}", 91.7, "92"),
            ("{{ $value | humanize }}", 1_234_567.0, "1.235M"),
            ("{{ humanize $value }}", 0.000_12, "120u"),
            ("{{ $value | humanize1024 }}B", 1_572_864.0, "1.5MiB"),
            ("{{ $value | humanizePercentage }}", 0.914, "91.4%"),
            ("{{ $value | humanizeDuration }}", 93_784.0, "1d 2h 3m 4s"),
            ("{{ $value | humanizeDuration }}", 0.25, "250ms"),
            ("{{ $value | humanizeTimestamp }}", 1_795_503_600.0, "2026-11-24 07:00:00 UTC"),
            ("{{ $labels.instance | stripPort | toUpper }}", 1.0, "WEB"),
            ("{{ if gt $value 90.0 }}ya{{ else }}tidak{{ end }}", 91.0, "ya"),
            ("{{ if $labels.nothing }}a{{ end }}b", 91.0, "b"),
        ] {
            assert_eq!(render(source, value), wanted, "{source}");
        }
    }

    #[test]
    fn four_digits_are_those_of_percent_4g() {
        for (value, wanted) in [
            (0.0, "0"),
            (999.96, "1000"),
            (9_999.6, "1e+04"),
            (0.000_123_45, "0.0001234"),
            (-1.5, "-1.5"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(four_digits(value), wanted);
        }
    }

    #[test]
    fn a_wrong_template_is_refused_when_it_is_read() {
        for source in [
            "{{ $labels.a ",
            "{{ $nothing }}",
            "{{ nothing 1 }}",
            "{{ $value | query }}",
            "{{ if }}",
            "{{ end }}",
        ] {
            assert!(Text::parse(source).is_err(), "{source}");
        }
    }
}
