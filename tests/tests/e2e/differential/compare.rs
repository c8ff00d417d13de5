//! Compares two answers of the Prometheus API.

use std::collections::BTreeMap;

use serde_json::Value;

/// Relative difference of two values that still counts as equal.
const TOLERANCE: f64 = 1e-9;

/// An answer: status, body.
pub(super) type Answer = (u16, Value);

/// What differs, if anything does.
pub(super) fn difference(expected: &Answer, got: &Answer) -> Option<String> {
    if expected.0 != got.0 || expected.1["errorType"] != got.1["errorType"] {
        let brief = |(status, body): &Answer| match body["error"].as_str() {
            Some(error) => format!("{status} {} {error}", body["errorType"]),
            None => format!("{status} {:.150}", body["data"].to_string()),
        };
        return Some(format!("expected {}, got {}", brief(expected), brief(got)));
    }
    let (expected, got) = (&expected.1["data"], &got.1["data"]);
    if expected["resultType"] != got["resultType"] {
        return Some(format!("expected {}, got {}", expected["resultType"], got["resultType"]));
    }
    match expected["resultType"].as_str() {
        Some("vector" | "matrix") => series_differ(&expected["result"], &got["result"]),
        Some("scalar") => points_differ(&expected["result"], &got["result"]),
        // Strings, and everything that is no query.
        _ => (expected != got).then(|| format!("expected {expected:.600}, got {got:.600}")),
    }
}

/// The same as [`difference`], with the order of series as part of the answer.
pub(super) fn order_differs(expected: &Answer, got: &Answer) -> Option<String> {
    let order = |answer: &Answer| -> Vec<String> {
        let series = answer.1["data"]["result"].as_array().into_iter().flatten();
        series.map(|one| one["metric"].to_string()).collect()
    };
    (order(expected) != order(got))
        .then(|| format!("expected order {:?}, got {:?}", order(expected), order(got)))
}

fn by_labels(result: &Value) -> BTreeMap<String, &Value> {
    result.as_array().into_iter().flatten().map(|series| (series["metric"].to_string(), series)).collect()
}

fn series_differ(expected: &Value, got: &Value) -> Option<String> {
    let (expected, got) = (by_labels(expected), by_labels(got));
    if let Some(missing) = expected.keys().find(|labels| !got.contains_key(*labels)) {
        return Some(format!("{missing} is missing among {} of {}", got.len(), expected.len()));
    }
    if let Some(further) = got.keys().find(|labels| !expected.contains_key(*labels)) {
        return Some(format!("{further} should not be there"));
    }
    for (labels, expected) in expected {
        let got = got[&labels];
        let differs = match expected["values"].as_array() {
            None => points_differ(&expected["value"], &got["value"]),
            Some(points) => matrix_differs(points, got["values"].as_array().map_or(&[], Vec::as_slice)),
        };
        if let Some(how) = differs {
            return Some(format!("{labels}: {how}"));
        }
    }
    None
}

fn matrix_differs(expected: &[Value], got: &[Value]) -> Option<String> {
    let first = expected.iter().zip(got).find_map(|(expected, got)| points_differ(expected, got));
    first.or_else(|| {
        let (expected, got) = (expected.len(), got.len());
        (expected != got).then(|| format!("expected {expected} points, got {got}"))
    })
}

fn points_differ(expected: &Value, got: &Value) -> Option<String> {
    let equal = expected[0] == got[0] && values_equal(&expected[1], &got[1]);
    (!equal).then(|| format!("expected {expected}, got {got}"))
}

fn values_equal(expected: &Value, got: &Value) -> bool {
    let (Some(a), Some(b)) = (expected.as_str(), got.as_str()) else { return false };
    let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) else { return false };
    // The same infinities and zeros are equal; all NaNs are alike in the API.
    #[expect(clippy::float_cmp, reason = "exact equality is one of the ways to be equal")]
    let same = a == b || (a.is_nan() && b.is_nan());
    same || (a.is_finite() && b.is_finite() && (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(value: &str) -> Answer {
        let result = json!([{ "metric": { "a": "b" }, "value": [1.5, value] }]);
        (200, json!({ "status": "success", "data": { "resultType": "vector", "result": result } }))
    }

    #[test]
    fn values_may_differ_by_rounding_and_by_nothing_else() {
        assert_eq!(difference(&answer("1"), &answer("1.0000000001")), None);
        assert_eq!(difference(&answer("NaN"), &answer("NaN")), None);
        for (a, b) in [("1", "1.00000001"), ("NaN", "0"), ("+Inf", "-Inf"), ("0", "1e-12")] {
            assert!(difference(&answer(a), &answer(b)).is_some(), "{a} {b}");
        }
    }
}
