//! Compares answers with expectations, with upstream's tolerance.

use std::collections::BTreeMap;

use siaga_promql::{Labels, MatrixSeries, Value, VectorSample};

use super::notation::{parse_number, parse_series};
use super::script::Expect;

/// Relative difference that counts as equal.
const EPSILON: f64 = 1e-6;

/// Expected values of an instant query.
pub(crate) enum Expected {
    Scalar(f64),
    Vector(Vec<(Labels, f64)>),
}

pub(crate) fn parse_instant(expect: &Expect) -> Result<Expected, String> {
    if let [line] = expect.lines.as_slice()
        && let Ok(value) = parse_number(line)
    {
        return Ok(Expected::Scalar(value));
    }
    let mut out = Vec::new();
    for line in &expect.lines {
        let d = parse_series(line)?;
        match d.points.as_slice() {
            [Some(value)] => out.push((d.labels, *value)),
            _ => return Err(format!("expected one value in {line:?}")),
        }
    }
    Ok(Expected::Vector(out))
}

/// Expected series of points, from `start` every `step` milliseconds.
pub(crate) fn parse_range(
    expect: &Expect,
    start: i64,
    step: i64,
) -> Result<BTreeMap<Labels, Vec<(i64, f64)>>, String> {
    let mut out = BTreeMap::new();
    for line in &expect.lines {
        let d = parse_series(line)?;
        let points =
            d.points.iter().enumerate().filter_map(|(i, v)| Some((start + step * i as i64, (*v)?))).collect();
        out.insert(d.labels, points);
    }
    Ok(out)
}

pub(crate) fn check_instant(expected: &Expected, value: &Value, ordered: bool) -> Result<(), String> {
    match (expected, value) {
        (Expected::Scalar(e), Value::Scalar { value, .. }) => check_value(*e, *value, "scalar"),
        (Expected::Vector(e), Value::Vector(samples)) => check_vector(e, samples, ordered),
        (_, other) => Err(format!("unexpected {}", other.kind())),
    }
}

pub(crate) fn check_vector(
    expected: &[(Labels, f64)],
    samples: &[VectorSample],
    ordered: bool,
) -> Result<(), String> {
    if expected.len() != samples.len() {
        return Err(format!("expected {} series, got {}: {samples:?}", expected.len(), samples.len()));
    }
    for (i, sample) in samples.iter().enumerate() {
        let place = expected.iter().position(|(l, _)| *l == sample.labels);
        let Some(place) = place else { return Err(format!("unexpected series {}", sample.labels)) };
        if ordered && place != i {
            return Err(format!("{} is number {i}, expected {place}", sample.labels));
        }
        check_value(expected[place].1, float(sample), &sample.labels.to_string())?;
    }
    Ok(())
}

pub(crate) fn check_matrix(
    expected: &BTreeMap<Labels, Vec<(i64, f64)>>,
    series: &[MatrixSeries],
) -> Result<(), String> {
    for s in series {
        let Some(points) = expected.get(&s.labels) else {
            return Err(format!("unexpected series {}", s.labels));
        };
        let times = |p: &[(i64, f64)]| p.iter().map(|p| p.0).collect::<Vec<_>>();
        if times(points) != times(&s.points) {
            return Err(format!("{}: expected points {points:?}, got {:?}", s.labels, s.points));
        }
        for (e, p) in points.iter().zip(&s.points) {
            check_value(e.1, p.1, &format!("{} at {}", s.labels, p.0))?;
        }
    }
    for (labels, _) in expected.iter().filter(|(_, points)| !points.is_empty()) {
        if !series.iter().any(|s| s.labels == *labels) {
            return Err(format!("missing series {labels}"));
        }
    }
    Ok(())
}

/// The scripts that reach a comparison hold nothing but floats.
pub(crate) fn float(sample: &VectorSample) -> f64 {
    sample.sample.float().unwrap()
}

fn check_value(expected: f64, got: f64, what: &str) -> Result<(), String> {
    if nearly_equal(expected, got) { Ok(()) } else { Err(format!("{what}: expected {expected}, got {got}")) }
}

fn nearly_equal(a: f64, b: f64) -> bool {
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let difference = (a - b).abs();
    let sum = a.abs() + b.abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}
