//! What a query answers.

use crate::Labels;

/// A value with the notes that came up while computing it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// Notes of level warning: the result is probably not what was meant.
    pub warnings: Vec<String>,
    /// Notes of level info: the query may be improved.
    pub infos: Vec<String>,
}

/// The value of a query. Times are milliseconds since 1970.
#[derive(Debug, Clone)]
pub enum Value {
    /// A number at the time of evaluation.
    Scalar {
        /// Time of evaluation.
        t_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text at the time of evaluation.
    String {
        /// Time of evaluation.
        t_ms: i64,
        /// The text.
        value: String,
    },
    /// One sample for each series; ordered only if the query sorts.
    Vector(Vec<VectorSample>),
    /// Points for each series, series in order of labels.
    Matrix(Vec<MatrixSeries>),
}

impl Value {
    /// Prometheus' `resultType`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Scalar { .. } => "scalar",
            Self::String { .. } => "string",
            Self::Vector(_) => "vector",
            Self::Matrix(_) => "matrix",
        }
    }
}

/// One series at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    /// Labels of the series.
    pub labels: Labels,
    /// Time of evaluation.
    pub t_ms: i64,
    /// The value.
    pub value: f64,
}

/// One series over time. A step without a value has no point.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSeries {
    /// Labels of the series.
    pub labels: Labels,
    /// Time and value, ascending in time, never empty.
    pub points: Vec<(i64, f64)>,
}
