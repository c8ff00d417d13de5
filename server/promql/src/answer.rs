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

/// What a series holds at one instant. Native histograms are to be a further kind, so nobody may take a sample for a
/// float without asking.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Sample {
    /// A plain number.
    Float(f64),
}

impl Sample {
    /// The number, if it is one.
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
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
    /// What it holds.
    pub sample: Sample,
}

impl VectorSample {
    /// A number.
    pub fn of_float(labels: Labels, t_ms: i64, value: f64) -> Self {
        Self { labels, t_ms, sample: Sample::Float(value) }
    }
}

/// One series over time. A step without a value has no point. As in Prometheus, what is no float stands in a list of
/// its own: that of native histograms will be a further field.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MatrixSeries {
    /// Labels of the series.
    pub labels: Labels,
    /// Times and floats, ascending in time.
    pub points: Vec<(i64, f64)>,
}

impl MatrixSeries {
    /// A series of floats.
    pub fn of_floats(labels: Labels, points: Vec<(i64, f64)>) -> Self {
        Self { labels, points }
    }
}
