//! The notation of series in test scripts: `metric{l="v"} 1+2x5 _ stale {{schema:0 …}}`.

use siaga_promql::{Labels, METRIC_NAME, stale_nan};

/// What a series description says.
pub(crate) struct Description {
    pub(crate) labels: Labels,
    /// One entry for each step, `None` for a gap.
    pub(crate) points: Vec<Option<f64>>,
    /// Some points are native histograms.
    pub(crate) has_histograms: bool,
    /// The line gives start timestamps instead of values.
    pub(crate) is_start_times: bool,
}

pub(crate) fn parse_series(line: &str) -> Result<Description, String> {
    let (labels, rest) = parse_labels(line)?;
    let (is_start_times, rest) = match rest.strip_prefix("@st") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let mut description = Description { labels, points: Vec::new(), has_histograms: false, is_start_times };
    if is_start_times {
        return Ok(description);
    }
    for item in items(rest) {
        if item.contains("{{") {
            description.has_histograms = true;
        } else {
            parse_points(&item, &mut description.points)?;
        }
    }
    Ok(description)
}

/// Splits at blanks outside of histograms.
fn items(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut depth = 0usize;
    let mut open = false;
    for c in text.chars() {
        if c.is_whitespace() && depth == 0 {
            open = false;
            continue;
        }
        if !open {
            out.push(String::new());
            open = true;
        }
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        out.last_mut().unwrap().push(c);
    }
    out
}

/// Name and labels at the start of a line; returns what follows.
pub(crate) fn parse_labels(line: &str) -> Result<(Labels, &str), String> {
    let line = line.trim_start();
    let name_end = line.find(|c: char| c == '{' || c == '@' || c.is_whitespace()).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(name_end);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
    }
    if let Some(inside) = rest.strip_prefix('{') {
        rest = parse_label_list(inside, &mut pairs)?;
    } else if name.is_empty() {
        return Err(format!("no series in {line:?}"));
    }
    Ok((Labels::new(pairs), rest))
}

fn parse_label_list<'a>(mut text: &'a str, pairs: &mut Vec<(String, String)>) -> Result<&'a str, String> {
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if let Some(rest) = text.strip_prefix('}') {
            return Ok(rest);
        }
        let name;
        if text.starts_with(['"', '\'']) {
            (name, text) = parse_string(text)?;
        } else {
            let end = text.find(['=', ' ', '}']).ok_or("label without value")?;
            name = text[..end].to_owned();
            text = &text[end..];
        }
        text = text.trim_start();
        let Some(rest) = text.strip_prefix('=') else {
            // A quoted name alone is the metric's name.
            pairs.push((METRIC_NAME.to_owned(), name));
            continue;
        };
        let (value, rest) = parse_string(rest.trim_start())?;
        pairs.push((name, value));
        text = rest;
    }
}

/// A string literal at the start of the text; returns its value and what follows.
pub(crate) fn parse_string(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')).ok_or("string expected")?;
    let mut end = None;
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote != '`' {
            escaped = true;
        } else if c == quote {
            end = Some(i);
            break;
        }
    }
    let end = end.ok_or("open string")?;
    let value = promql_parser::util::unquote_string(&text[..=end])?;
    Ok((value, &text[end + 1..]))
}

/// Most points one item may stand for.
const MAX_REPEAT: usize = 1_000_000;

fn parse_points(item: &str, points: &mut Vec<Option<f64>>) -> Result<(), String> {
    let (body, repeat) = match item.rsplit_once('x') {
        Some((body, n)) => {
            (body, Some(n.parse::<usize>().map_err(|e| format!("{item}: {e}"))?.min(MAX_REPEAT)))
        }
        None => (item, None),
    };
    if body == "_" {
        points.extend(std::iter::repeat_n(None, repeat.unwrap_or(1)));
        return Ok(());
    }
    let count = repeat.map_or(1, |n| n + 1);
    if body == "stale" {
        points.extend(std::iter::repeat_n(Some(stale_nan()), count));
        return Ok(());
    }
    let (first, step) = split_step(body);
    let mut value = parse_number(first)?;
    let step = step.map(parse_number).transpose()?.unwrap_or(0.0);
    for _ in 0..count {
        points.push(Some(value));
        value += step;
    }
    Ok(())
}

/// `1+2` and `1-2`; a sign at the start or in an exponent belongs to the number.
fn split_step(body: &str) -> (&str, Option<&str>) {
    let bytes = body.as_bytes();
    for i in 1..bytes.len() {
        if matches!(bytes[i], b'+' | b'-') && !matches!(bytes[i - 1], b'e' | b'E') {
            let step = &body[i..];
            return (&body[..i], Some(step));
        }
    }
    (body, None)
}

pub(crate) fn parse_number(text: &str) -> Result<f64, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = match digits.to_ascii_lowercase().as_str() {
        "inf" => f64::INFINITY,
        "nan" => f64::NAN,
        _ => digits.parse().map_err(|e| format!("{text}: {e}"))?,
    };
    Ok(if negative { -value } else { value })
}

/// A time or duration in milliseconds: `1h5m`, `90`, `-30s`, `10s53ms`.
pub(crate) fn parse_ms(text: &str) -> Result<i64, String> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let ms = match text.parse::<f64>() {
        Ok(seconds) => (seconds * 1000.0).round() as i64,
        Err(_) => parse_units(text)?,
    };
    Ok(if negative { -ms } else { ms })
}

fn parse_units(text: &str) -> Result<i64, String> {
    let mut rest = text;
    let mut ms = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or("duration without unit")?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(format!("unknown duration {text:?}")),
        };
        ms += number.parse::<i64>().map_err(|e| format!("{text}: {e}"))? * unit_ms;
        rest = after;
    }
    Ok(ms)
}
