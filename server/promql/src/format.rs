//! Numbers and strings as Go prints them, because clients of Prometheus compare text.

/// A float as Go's `strconv.FormatFloat(v, 'f', -1, 64)`: shortest digits that read back the same, never an exponent.
pub fn format_value(value: f64) -> String {
    let mut text = String::new();
    push_value(&mut text, value);
    text
}

/// Appends what [`format_value`] gives.
pub fn push_value(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value == f64::INFINITY {
        out.push_str("+Inf");
    } else if value == f64::NEG_INFINITY {
        out.push_str("-Inf");
    } else {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        if text.contains('e') {
            // Rust's Display has the same digits without an exponent, but takes several times as long.
            out.push_str(&format!("{value}"));
        } else {
            out.push_str(text.strip_suffix(".0").unwrap_or(text));
        }
    }
}

/// A float as Go's `%v` or `%g`: like [`format_value`], but with an exponent outside of 1e-4..1e6.
pub(crate) fn format_general(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() || magnitude == 0.0 || (1e-4..1e6).contains(&magnitude) {
        return format_value(value);
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

/// A float as OpenMetrics writes it: always recognisable as a float (`1.0`, not `1`).
pub(crate) fn format_openmetrics(value: f64) -> String {
    let mut text = format_general(value);
    if value.is_finite() && !text.contains(['.', 'e']) {
        text.push_str(".0");
    }
    text
}

/// Stands for a byte that is no UTF-8 in a string literal of a query: this plus the byte, a private-use character.
/// No stored label holds it, so such a string matches nothing, and messages can still show the byte.
pub(crate) const RAW_BYTE_BASE: u32 = 0x0010_ff00;

/// A string in double quotes with Go's escapes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) >= RAW_BYTE_BASE + 0x80 => {
                out.push_str(&format!("\\x{:02x}", u32::from(c) - RAW_BYTE_BASE));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_written_as_go_writes_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(format_value(value), text);
        }
    }

    fn assert_shortest(value: f64) {
        let text = format_value(value);
        assert_eq!(
            text.parse::<f64>().map(f64::to_bits),
            Ok(value.to_bits()),
            "{text} reads back as another value"
        );
        // Where two texts of the least length are equally near, each library may take another.
        let display = format!("{value}");
        assert_eq!(text.len(), display.len(), "{text} is not as short as {display}");
        assert!(!text.contains(['e', 'E']), "{text} has an exponent");
    }

    #[test]
    fn a_value_halfway_between_two_shortest_texts_takes_either() {
        assert_shortest(f64::from_bits(4_831_999_394_550_682_778));
    }

    proptest! {
        #[test]
        fn every_value_reads_back_the_same_in_its_shortest_form(bits: u64, digits in -1_000_000_000_i64..1_000_000_000, scale in 0..12) {
            for value in [f64::from_bits(bits), digits as f64 / 10_f64.powi(scale)] {
                if value.is_finite() {
                    assert_shortest(value);
                }
            }
        }
    }

    #[test]
    fn general_form_has_exponents_and_openmetrics_a_point() {
        assert_eq!(format_general(9.223372036854776e18), "9.223372036854776e+18");
        assert_eq!(format_general(1e21), "1e+21");
        assert_eq!(format_general(0.00001), "1e-05");
        assert_eq!(format_openmetrics(0.0), "0.0");
        assert_eq!(format_openmetrics(0.99), "0.99");
    }
}
