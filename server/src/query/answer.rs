//! Answers in Prometheus' JSON form. Samples are written straight into the body, without a string for each.

use serde::ser::{SerializeMap as _, SerializeSeq as _, SerializeStruct as _};
use serde::{Serialize, Serializer};
use siaga_promql::{Answer, Labels, Value, format_value};

use crate::time::Millis;

/// `{"status":"success","data":…}` with notes.
#[derive(Debug)]
pub(super) struct Success<T> {
    pub(super) data: T,
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
}

impl<T> Success<T> {
    pub(super) fn new(data: T) -> Self {
        Self { data, warnings: Vec::new(), infos: Vec::new() }
    }
}

impl<T: Serialize> Serialize for Success<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Success", 4)?;
        out.serialize_field("status", "success")?;
        out.serialize_field("data", &self.data)?;
        if !self.warnings.is_empty() {
            out.serialize_field("warnings", &self.warnings)?;
        }
        if !self.infos.is_empty() {
            out.serialize_field("infos", &self.infos)?;
        }
        out.end()
    }
}

/// The warning on a list that the request's limit cut.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

impl Success<QueryData> {
    /// The answer with at most so many series.
    pub(super) fn limited(mut self, limit: usize) -> Self {
        let cut = match &mut self.data.0 {
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
            self.warnings.push(TRUNCATED.to_owned());
        }
        self
    }
}

/// The value of a query as `data`.
#[derive(Debug)]
pub(super) struct QueryData(pub(super) Value);

impl QueryData {
    /// An evaluated query as a whole answer.
    pub(super) fn success(answer: Answer) -> Success<Self> {
        Success { data: Self(answer.value), warnings: answer.warnings, infos: answer.infos }
    }
}

impl Serialize for QueryData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Data", 2)?;
        match &self.0 {
            Value::Scalar { t_ms, value } => {
                out.serialize_field("resultType", "scalar")?;
                out.serialize_field("result", &Point(*t_ms, *value))?;
            }
            Value::String { t_ms, value } => {
                out.serialize_field("resultType", "string")?;
                out.serialize_field("result", &(Seconds(*t_ms), value))?;
            }
            Value::Vector(samples) => {
                out.serialize_field("resultType", "vector")?;
                let samples: Vec<_> = samples
                    .iter()
                    .map(|sample| VectorItem {
                        metric: Metric(&sample.labels),
                        value: Point(sample.t_ms, sample.value),
                    })
                    .collect();
                out.serialize_field("result", &samples)?;
            }
            Value::Matrix(series) => {
                out.serialize_field("resultType", "matrix")?;
                let series: Vec<_> = series
                    .iter()
                    .map(|series| MatrixItem {
                        metric: Metric(&series.labels),
                        values: Points(&series.points),
                    })
                    .collect();
                out.serialize_field("result", &series)?;
            }
        }
        out.end()
    }
}

#[derive(Serialize)]
struct VectorItem<'a> {
    metric: Metric<'a>,
    value: Point,
}

#[derive(Serialize)]
struct MatrixItem<'a> {
    metric: Metric<'a>,
    values: Points<'a>,
}

/// Labels as an object.
struct Metric<'a>(&'a Labels);

impl Serialize for Metric<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        for (name, value) in self.0.iter() {
            out.serialize_entry(name, value)?;
        }
        out.end()
    }
}

/// A time as seconds with milliseconds behind the point.
struct Seconds(Millis);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1_000 == 0 {
            serializer.serialize_i64(self.0 / 1_000)
        } else {
            #[expect(clippy::cast_precision_loss, reason = "times lie far below 2^53 ms")]
            serializer.serialize_f64(self.0 as f64 / 1_000.0)
        }
    }
}

/// A sample as `[time, "value"]`.
struct Point(Millis, f64);

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Seconds(self.0), format_value(self.1)).serialize(serializer)
    }
}

/// Samples of a series.
struct Points<'a>(&'a [(Millis, f64)]);

impl Serialize for Points<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_seq(Some(self.0.len()))?;
        for &(t_ms, value) in self.0 {
            out.serialize_element(&Point(t_ms, value))?;
        }
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_strings_and_times_are_seconds() {
        let answer = Answer {
            value: Value::Scalar { t_ms: 1_500, value: f64::INFINITY },
            warnings: vec!["w".to_owned()],
            infos: vec![],
        };
        assert_eq!(
            serde_json::to_string(&QueryData::success(answer)).unwrap(),
            r#"{"status":"success","data":{"resultType":"scalar","result":[1.5,"+Inf"]},"warnings":["w"]}"#
        );
    }
}
