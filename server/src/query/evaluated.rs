//! The answer of an evaluated query as a body in Prometheus' JSON form. Answers of dashboards have tens of thousands of
//! points, so that they are written straight into the body; only texts pass through the serializer, which escapes them.

use std::borrow::Cow;

use siaga_promql::{Answer, Labels, Value, push_value};

use super::answer::TRUNCATED;
use crate::time::Millis;

/// Bytes of a point, about: `[1700000000,"0.123456789012345"],`.
const POINT_BYTES: usize = 34;
/// Bytes of a series' labels, about.
const LABELS_BYTES: usize = 120;

/// An evaluated query.
#[derive(Debug)]
pub(super) struct Evaluated(pub(super) Answer);

impl Evaluated {
    /// With at most so many series, and a warning if there were more.
    pub(super) fn limited(mut self, limit: usize) -> Self {
        let cut = match &mut self.0.value {
            Value::Vector(samples) if samples.len() > limit => {
                samples.truncate(limit);
                true
            }
            Value::Matrix(series) if series.len() > limit => {
                series.truncate(limit);
                true
            }
            _ => false,
        };
        if cut {
            self.0.warnings.insert(0, TRUNCATED.to_owned());
        }
        self
    }

    /// `{"status":"success","data":{"resultType":…,"result":…}}` with notes.
    pub(super) fn body(&self) -> serde_json::Result<String> {
        let Answer { value, warnings, infos } = &self.0;
        let mut out = String::with_capacity(self.size());
        out.push_str(r#"{"status":"success","data":{"resultType":""#);
        out.push_str(value.kind());
        out.push_str(r#"","result":"#);
        match value {
            Value::Scalar { t_ms, value } => push_point(&mut out, *t_ms, *value),
            Value::String { t_ms, value } => {
                out.push('[');
                push_seconds(&mut out, *t_ms);
                out.push(',');
                push_text(&mut out, value)?;
                out.push(']');
            }
            Value::Vector(samples) => push_list(&mut out, samples, |out, sample| {
                push_labels(out, &sample.labels)?;
                if let Some(value) = sample.sample.float() {
                    out.push_str(r#","value":"#);
                    push_point(out, sample.t_ms, value);
                }
                out.push('}');
                Ok(())
            })?,
            Value::Matrix(series) => push_list(&mut out, series, |out, series| {
                push_labels(out, &series.labels)?;
                out.push_str(r#","values":"#);
                push_list(out, &series.points, |out, &(t_ms, value)| {
                    push_point(out, t_ms, value);
                    Ok(())
                })?;
                out.push('}');
                Ok(())
            })?,
        }
        out.push('}');
        for (name, kind, notes) in [("warnings", "warning", warnings), ("infos", "info", infos)] {
            if !notes.is_empty() {
                out.push_str(",\"");
                out.push_str(name);
                out.push_str("\":");
                push_list(&mut out, &shown_notes(kind, notes), |out, note| push_text(out, note))?;
            }
        }
        out.push('}');
        Ok(out)
    }

    /// About as many bytes as the answer takes together with its body.
    pub(super) fn bytes(&self) -> usize {
        let points = match &self.0.value {
            Value::Scalar { .. } | Value::String { .. } => 1,
            Value::Vector(samples) => samples.len(),
            Value::Matrix(series) => series.iter().map(|series| series.points.len()).sum(),
        };
        self.size() + points * size_of::<(Millis, f64)>()
    }

    /// About as many bytes as the body will have.
    fn size(&self) -> usize {
        match &self.0.value {
            Value::Scalar { .. } | Value::String { .. } => LABELS_BYTES,
            Value::Vector(samples) => samples.len() * (LABELS_BYTES + POINT_BYTES),
            Value::Matrix(series) => {
                series.iter().map(|series| LABELS_BYTES + series.points.len() * POINT_BYTES).sum()
            }
        }
    }
}

/// Notes of a level that an answer carries, as in Prometheus.
const MAX_NOTES: usize = 10;

/// The notes of a level that are said, and how many are not.
fn shown_notes<'a>(kind: &str, notes: &'a [String]) -> Vec<Cow<'a, str>> {
    let mut shown: Vec<_> = notes.iter().take(MAX_NOTES).map(|note| Cow::from(note.as_str())).collect();
    if let Some(omitted) = notes.len().checked_sub(MAX_NOTES).filter(|omitted| *omitted > 0) {
        shown.push(format!("{omitted} more {kind} annotations omitted").into());
    }
    shown
}

fn push_list<T>(
    out: &mut String,
    items: &[T],
    mut push: impl FnMut(&mut String, &T) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push(out, item)?;
    }
    out.push(']');
    Ok(())
}

/// Opens an object with the labels as its member `metric`.
fn push_labels(out: &mut String, labels: &Labels) -> serde_json::Result<()> {
    out.push_str(r#"{"metric":{"#);
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_text(out, name)?;
        out.push(':');
        push_text(out, value)?;
    }
    out.push('}');
    Ok(())
}

fn push_text(out: &mut String, text: &str) -> serde_json::Result<()> {
    out.push_str(&serde_json::to_string(text)?);
    Ok(())
}

/// A sample as `[time, "value"]`.
fn push_point(out: &mut String, t_ms: Millis, value: f64) {
    out.push('[');
    push_seconds(out, t_ms);
    out.push_str(",\"");
    push_value(out, value);
    out.push_str("\"]");
}

/// A time as seconds, with milliseconds behind the point where there are any.
fn push_seconds(out: &mut String, t_ms: Millis) {
    let mut digits = itoa::Buffer::new();
    if t_ms < 0 {
        out.push('-');
    }
    let ms = t_ms.unsigned_abs();
    out.push_str(digits.format(ms / 1_000));
    let rest = ms % 1_000;
    if rest > 0 {
        // A one before it keeps leading zeros.
        out.push('.');
        out.push_str(digits.format(1_000 + rest)[1..].trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use siaga_promql::{MatrixSeries, VectorSample};

    use super::*;

    fn body(value: Value, warnings: &[&str]) -> String {
        let warnings = warnings.iter().map(|&text| text.to_owned()).collect();
        Evaluated(Answer { value, warnings, infos: Vec::new() }).limited(2).body().unwrap()
    }

    #[test]
    fn values_are_strings_and_times_are_seconds() {
        assert_eq!(
            body(Value::Scalar { t_ms: 1_500, value: f64::INFINITY }, &["w"]),
            r#"{"status":"success","data":{"resultType":"scalar","result":[1.5,"+Inf"]},"warnings":["w"]}"#
        );
        assert_eq!(
            body(Value::String { t_ms: -1, value: "a\"b".to_owned() }, &[]),
            r#"{"status":"success","data":{"resultType":"string","result":[-0.001,"a\"b"]}}"#
        );
    }

    #[test]
    fn series_beyond_the_limit_are_cut_with_a_warning() {
        let sample = |at| VectorSample::of_float(Labels::new([("a", "\n"), ("b", "x")]), at, 0.5);
        assert_eq!(
            body(Value::Vector(vec![sample(0), sample(2_000), sample(3_000)]), &[]),
            concat!(
                r#"{"status":"success","data":{"resultType":"vector","result":["#,
                r#"{"metric":{"a":"\n","b":"x"},"value":[0,"0.5"]},{"metric":{"a":"\n","b":"x"},"value":[2,"0.5"]}"#,
                r#"]},"warnings":["results truncated due to limit"]}"#
            )
        );
    }

    #[test]
    fn of_many_notes_ten_are_said_and_the_others_counted() {
        let notes: Vec<String> = (0..13).map(|n| n.to_string()).collect();
        let shown = shown_notes("info", &notes);
        assert_eq!((shown.len(), shown[9].as_ref()), (11, "9"));
        assert_eq!(shown[10], "3 more info annotations omitted");
        assert_eq!(shown_notes("info", &notes[..10]).len(), 10);
    }

    #[test]
    fn a_matrix_is_json_with_every_point() {
        let points = vec![(1_700_000_000_050, 1.0), (1_700_000_015_000, -2e-7)];
        let text = body(Value::Matrix(vec![MatrixSeries::of_floats(Labels::empty(), points.clone())]), &[]);
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            parsed["data"]["result"][0]["values"].to_string(),
            r#"[[1700000000.05,"1"],[1700000015,"-0.0000002"]]"#
        );
    }
}
