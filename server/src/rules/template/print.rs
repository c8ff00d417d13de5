//! Numbers as Go prints them.

use super::Value;

/// Widest field of `printf`.
const MAX_WIDTH: usize = 200;
/// Most decimals of `printf`.
const MAX_DECIMALS: usize = 50;

/// A number as `%v`: the fewest digits, with an exponent only for very large and small ones.
pub(super) fn float(value: f64) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((mantissa, exponent)) => go_exponent(mantissa, exponent),
            None => text,
        };
    }
    format!("{value}")
}

fn special(value: f64) -> Option<String> {
    if value.is_nan() {
        Some("NaN".to_owned())
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned())
    } else {
        None
    }
}

/// Go writes the exponent with its sign and two digits at least.
fn go_exponent(mantissa: &str, exponent: &str) -> String {
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// Four significant digits without trailing zeros: `%.4g`.
pub(super) fn four_digits(value: f64) -> String {
    significant(value, 4)
}

/// `%.Ng`
fn significant(value: f64, digits: usize) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = digits.max(1);
    // Rounding first, because it may change the power: 999.96 has four digits as 1000.
    let scientific = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let trim = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    let power: i64 = exponent.parse().unwrap_or(0);
    let limit = i64::try_from(digits).unwrap_or(i64::MAX);
    if (-4..limit).contains(&power) {
        let decimals = usize::try_from(limit - 1 - power).unwrap_or(0);
        return trim(&format!("{value:.decimals$}"));
    }
    go_exponent(&trim(mantissa), exponent)
}

/// Go's `Sprintf` for the verbs that texts use. What does not fit is shown as Go shows it.
pub(super) fn sprintf(format: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (spec, after) = Spec::read(&rest[at + 1..]);
        rest = after;
        match (spec.verb, spec.verb.filter(|verb| *verb != '%').map(|_| arguments.next())) {
            (None, _) => out.push_str("%!(NOVERB)"),
            (Some(verb), None) => out.push(verb),
            (Some(verb), Some(None)) => out.push_str(&format!("%!{verb}(MISSING)")),
            (Some(verb), Some(Some(value))) => out.push_str(&spec.print(verb, value)),
        }
    }
    out.push_str(rest);
    let extra: Vec<String> = arguments.map(Value::print).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

/// One placeholder of a format: `%-8.2f`.
#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    verb: Option<char>,
}

impl Spec {
    fn read(text: &str) -> (Self, &str) {
        let mut spec = Self::default();
        let flags = text.len() - text.trim_start_matches(['-', '+', '0', ' ', '#']).len();
        for flag in text[..flags].chars() {
            spec.left |= flag == '-';
            spec.plus |= flag == '+';
            spec.zeros |= flag == '0';
        }
        let (width, mut rest) = digits(&text[flags..]);
        spec.width = width.unwrap_or(0).min(MAX_WIDTH);
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = digits(after);
            spec.precision = Some(precision.unwrap_or(0).min(MAX_DECIMALS));
            rest = after;
        }
        let mut chars = rest.chars();
        spec.verb = chars.next();
        (spec, chars.as_str())
    }

    fn print(&self, verb: char, value: &Value) -> String {
        let number = match value {
            Value::Number(number) => Some(*number),
            _ => None,
        };
        let decimals = self.precision.unwrap_or(6);
        let text = match (verb, value, number) {
            ('v', _, _) => value.print(),
            ('s', Value::Text(text), _) => match self.precision {
                Some(longest) => text.chars().take(longest).collect(),
                None => text.clone(),
            },
            ('q', Value::Text(text), _) => format!("{text:?}"),
            ('d', Value::Whole(whole), _) => whole.to_string(),
            ('t', Value::Bool(flag), _) => flag.to_string(),
            ('f' | 'F', _, Some(number)) => special(number).unwrap_or_else(|| format!("{number:.decimals$}")),
            ('e', _, Some(number)) => special(number).unwrap_or_else(|| {
                let text = format!("{number:.decimals$e}");
                text.split_once('e').map_or(text.clone(), |(mantissa, power)| go_exponent(mantissa, power))
            }),
            ('g', _, Some(number)) => {
                self.precision.map_or_else(|| float(number), |p| significant(number, p))
            }
            _ => return format!("%!{verb}({}={})", kind(value), value.print()),
        };
        let is_number = !matches!(value, Value::Text(_));
        let text =
            if self.plus && is_number && !text.starts_with(['-', '+']) { format!("+{text}") } else { text };
        self.pad(text, is_number)
    }

    fn pad(&self, text: String, is_number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            text
        } else if self.left {
            text + &" ".repeat(missing)
        } else if self.zeros && is_number {
            let signs = text.len() - text.trim_start_matches(['-', '+']).len();
            format!("{}{}{}", &text[..signs], "0".repeat(missing), &text[signs..])
        } else {
            " ".repeat(missing) + &text
        }
    }
}

fn digits(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    // A number too long to read is wider than anything.
    let number = (end > 0).then(|| text[..end].parse().unwrap_or(usize::MAX));
    (number, &text[end..])
}

/// Go's name of the type.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "string",
        Value::Number(_) => "float64",
        Value::Whole(_) => "int",
        Value::Bool(_) => "bool",
        Value::Labels(_) => "map[string]string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_are_those_of_percent_4g() {
        for (value, wanted) in [
            (0.0, "0"),
            (999.96, "1000"),
            (9_999.6, "1e+04"),
            (0.000_123_46, "0.0001235"),
            (-1.5, "-1.5"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(four_digits(value), wanted);
        }
    }

    #[test]
    fn formats_are_those_of_go() {
        let (f, i, s) = (Value::Number(-91.26), Value::Whole(7), Value::Text("é".to_owned()));
        for (format, arguments, wanted) in [
            ("%.1f|%8.2f|%-8.1f|", vec![&f, &f, &f], "-91.3|  -91.26|-91.3   |"),
            ("%08.2f %+d %03d", vec![&f, &i, &i], "-0091.26 +7 007"),
            ("%s %q %v %5s", vec![&s, &s, &f, &s], "é \"é\" -91.26     é"),
            ("%e %g %.2g", vec![&f, &f, &f], "-9.126000e+01 -91.26 -91"),
            ("%d", vec![&f], "%!d(float64=-91.26)"),
            ("%d 100%%", vec![], "%!d(MISSING) 100%"),
            ("x", vec![&i], "x%!(EXTRA 7)"),
            ("%", vec![], "%!(NOVERB)"),
            ("%99999999999999999999999d", vec![&i], &(" ".repeat(199) + "7")),
        ] {
            let arguments: Vec<Value> = arguments.into_iter().cloned().collect();
            assert_eq!(sprintf(format, &arguments), wanted, "{format}");
        }
        for (value, wanted) in
            [(1e21, "1e+21"), (123_456_789.0, "123456789"), (0.000_01, "1e-05"), (0.0, "0")]
        {
            assert_eq!(float(value), wanted);
        }
    }
}
