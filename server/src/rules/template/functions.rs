//! Functions of templates: those of Go that conditions need, and Prometheus' for numbers and texts.

use std::cmp::Ordering;

use regex::Regex;

use super::Value;
use super::print::{four_digits, sprintf};

/// A function.
#[derive(Debug)]
pub(super) struct Function {
    /// Name.
    pub(super) name: &'static str,
    /// Fewest arguments.
    min: usize,
    /// Most arguments.
    max: usize,
    /// What it does; the number of arguments has been checked.
    pub(super) call: fn(&[Value]) -> Result<Value, String>,
}

impl Function {
    /// Refuses a wrong number of arguments.
    pub(super) fn check(&self, count: usize) -> Result<(), String> {
        if (self.min..=self.max).contains(&count) {
            return Ok(());
        }
        let name = self.name;
        Err(match (self.min, self.max) {
            (1, 1) => format!("{name} takes 1 argument, not {count}"),
            (min, max) if min == max => format!("{name} takes {min} arguments, not {count}"),
            (min, _) => format!("{name} takes at least {min} arguments, not {count}"),
        })
    }
}

const MANY: usize = 50;

static FUNCTIONS: &[Function] = &[
    Function { name: "humanize", min: 1, max: 1, call: humanize },
    Function { name: "humanize1024", min: 1, max: 1, call: humanize_1024 },
    Function { name: "humanizePercentage", min: 1, max: 1, call: humanize_percentage },
    Function { name: "humanizeDuration", min: 1, max: 1, call: humanize_duration },
    Function { name: "humanizeTimestamp", min: 1, max: 1, call: humanize_timestamp },
    Function { name: "toUpper", min: 1, max: 1, call: |args| text(args, 0, |t| t.to_uppercase()) },
    Function { name: "toLower", min: 1, max: 1, call: |args| text(args, 0, |t| t.to_lowercase()) },
    Function { name: "title", min: 1, max: 1, call: |args| text(args, 0, title) },
    Function { name: "stripPort", min: 1, max: 1, call: |args| text(args, 0, strip_port) },
    Function { name: "stripDomain", min: 1, max: 1, call: |args| text(args, 0, strip_domain) },
    Function { name: "safeHtml", min: 1, max: 1, call: |args| text(args, 0, ToOwned::to_owned) },
    Function { name: "match", min: 2, max: 2, call: matches },
    Function { name: "reReplaceAll", min: 3, max: 3, call: replace_all },
    Function {
        name: "printf",
        min: 1,
        max: MANY,
        call: |args| Ok(Value::Text(sprintf(&args[0].print(), &args[1..]))),
    },
    Function {
        name: "print",
        min: 1,
        max: MANY,
        call: |args| Ok(Value::Text(args.iter().map(Value::print).collect())),
    },
    Function { name: "len", min: 1, max: 1, call: length },
    Function { name: "index", min: 2, max: 2, call: index },
    Function { name: "eq", min: 2, max: MANY, call: |args| any_equal(args) },
    Function {
        name: "ne",
        min: 2,
        max: 2,
        call: |args| compare(args, |order| order != Some(Ordering::Equal)),
    },
    Function {
        name: "lt",
        min: 2,
        max: 2,
        call: |args| compare(args, |order| order == Some(Ordering::Less)),
    },
    Function {
        name: "gt",
        min: 2,
        max: 2,
        call: |args| compare(args, |order| order == Some(Ordering::Greater)),
    },
    Function { name: "le", min: 2, max: 2, call: |args| compare(args, |o| o.is_some_and(Ordering::is_le)) },
    Function { name: "ge", min: 2, max: 2, call: |args| compare(args, |o| o.is_some_and(Ordering::is_ge)) },
    Function { name: "not", min: 1, max: 1, call: |args| Ok(Value::Bool(!args[0].is_true())) },
    Function { name: "and", min: 1, max: MANY, call: |args| Ok(first(args, |value| !value.is_true())) },
    Function { name: "or", min: 1, max: MANY, call: |args| Ok(first(args, Value::is_true)) },
];

/// The function of a name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

fn text(args: &[Value], at: usize, change: impl Fn(&str) -> String) -> Result<Value, String> {
    Ok(Value::Text(change(&args[at].print())))
}

fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Number(number) => Ok(*number),
        Value::Whole(whole) => Ok(*whole as f64),
        Value::Text(text) => text.parse().map_err(|_| format!("{text:?} is not a number")),
        other => Err(format!("{} is not a number", other.print())),
    }
}

/// The first value that decides, or the last.
fn first(args: &[Value], decides: impl Fn(&Value) -> bool) -> Value {
    let found = args.iter().find(|value| decides(value)).or(args.last());
    found.cloned().unwrap_or(Value::Bool(false))
}

fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        (Value::Bool(a), Value::Bool(b)) => Ok(Some(a.cmp(b))),
        (Value::Number(_) | Value::Whole(_), Value::Number(_) | Value::Whole(_)) => {
            Ok(number(a)?.partial_cmp(&number(b)?))
        }
        _ => Err(format!("{} and {} cannot be compared", a.print(), b.print())),
    }
}

fn compare(args: &[Value], holds: impl Fn(Option<Ordering>) -> bool) -> Result<Value, String> {
    Ok(Value::Bool(holds(order(&args[0], &args[1])?)))
}

fn any_equal(args: &[Value]) -> Result<Value, String> {
    for other in &args[1..] {
        if order(&args[0], other)? == Some(Ordering::Equal) {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn length(args: &[Value]) -> Result<Value, String> {
    let length = match &args[0] {
        Value::Text(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        other => return Err(format!("{} has no length", other.print())),
    };
    Ok(Value::Whole(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(args: &[Value]) -> Result<Value, String> {
    match &args[0] {
        Value::Labels(labels) => Ok(Value::Text(labels.get(&args[1].print()).cloned().unwrap_or_default())),
        other => Err(format!("{} has no labels", other.print())),
    }
}

fn regex(pattern: &Value) -> Result<Regex, String> {
    Regex::new(&pattern.print()).map_err(|error| error.to_string().lines().collect::<Vec<_>>().join(" "))
}

fn matches(args: &[Value]) -> Result<Value, String> {
    Ok(Value::Bool(regex(&args[0])?.is_match(&args[1].print())))
}

fn replace_all(args: &[Value]) -> Result<Value, String> {
    let replaced = regex(&args[0])?.replace_all(&args[2].print(), args[1].print().as_str()).into_owned();
    Ok(Value::Text(replaced))
}

/// Scales a number by powers of `base`, with the prefix of the power.
fn scaled(mut value: f64, base: f64, large: &[&str], small: &[&str]) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    let mut prefix = "";
    if value.abs() >= 1.0 {
        for unit in large {
            if value.abs() < base {
                break;
            }
            prefix = unit;
            value /= base;
        }
    } else {
        for unit in small {
            if value.abs() >= 1.0 {
                break;
            }
            prefix = unit;
            value *= base;
        }
    }
    format!("{}{prefix}", four_digits(value))
}

fn humanize(args: &[Value]) -> Result<Value, String> {
    let large = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
    let small = ["m", "u", "n", "p", "f", "a", "z", "y"];
    Ok(Value::Text(scaled(number(&args[0])?, 1_000.0, &large, &small)))
}

fn humanize_1024(args: &[Value]) -> Result<Value, String> {
    let large = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
    Ok(Value::Text(scaled(number(&args[0])?, 1_024.0, &large, &[])))
}

fn humanize_percentage(args: &[Value]) -> Result<Value, String> {
    Ok(Value::Text(format!("{}%", four_digits(number(&args[0])? * 100.0))))
}

fn humanize_duration(args: &[Value]) -> Result<Value, String> {
    let value = number(&args[0])?;
    if !value.is_finite() {
        return Ok(Value::Text(four_digits(value)));
    }
    let (sign, value) = if value < 0.0 { ("-", -value) } else { ("", value) };
    if value < 1.0 {
        return Ok(Value::Text(format!("{sign}{}s", scaled(value, 1_000.0, &[], &["m", "u", "n", "p"]))));
    }
    // Longer than any sensible time saturates.
    let whole = value as u64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3_600 % 24, whole / 86_400);
    Ok(Value::Text(match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(value)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }))
}

fn humanize_timestamp(args: &[Value]) -> Result<Value, String> {
    let value = number(&args[0])?;
    let at = jiff::Timestamp::from_millisecond((value * 1_000.0) as i64);
    let text =
        at.map_or_else(|_| four_digits(value), |at| at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string());
    Ok(Value::Text(text))
}

fn title(text: &str) -> String {
    let mut is_start = true;
    text.chars()
        .map(|c| {
            let upper = is_start && c.is_alphabetic();
            is_start = c.is_whitespace();
            if upper { c.to_uppercase().to_string() } else { c.to_string() }
        })
        .collect()
}

fn strip_port(text: &str) -> String {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            host.to_owned()
        }
        _ => text.to_owned(),
    }
}

/// The host name without its domain; addresses stay.
fn strip_domain(text: &str) -> String {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let host = host.split('.').next().unwrap_or(host);
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
