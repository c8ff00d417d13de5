//! A storage in memory for the tests of the engine.

use siaga_promql::{
    Answer, Engine, EngineOptions, Labels, METRIC_NAME, Matcher, QueryError, SelectBudget, SelectHints,
    SeriesData, Storage, StorageError, Value, VectorSample, format_value,
};

pub(crate) const MINUTE: i64 = 60_000;

#[derive(Default)]
pub(crate) struct Memory(pub(crate) Vec<SeriesData>);

/// Labels and values of a series.
pub(crate) type Line<'a> = (&'a [(&'a str, &'a str)], &'a [f64]);

impl Memory {
    /// Series of one value a minute from time 0.
    pub(crate) fn every_minute(series: &[Line<'_>]) -> Self {
        let series = series.iter().map(|(labels, values)| {
            let times = (0..values.len() as i64).map(|i| i * MINUTE).collect();
            SeriesData::new(Labels::new(labels.iter().copied()), times, values.to_vec())
        });
        Self(series.collect())
    }
}

impl Storage for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        budget: &SelectBudget,
    ) -> Result<Vec<SeriesData>, StorageError> {
        budget.check_time()?;
        let compiled: Vec<_> = matchers.iter().map(|m| m.compile().unwrap()).collect();
        let wanted =
            |s: &&SeriesData| compiled.iter().all(|m| m.matches(s.labels.get(m.name()).unwrap_or("")));
        let out: Vec<SeriesData> = self.0.iter().filter(wanted).map(|s| cut(s, hints)).collect();
        let samples: usize = out.iter().map(|s| s.values.len()).sum();
        if samples > budget.max_samples {
            return Err(StorageError::TooManySamples { limit: budget.max_samples });
        }
        Ok(out)
    }
}

/// Exactly the window that was asked for: what the evaluator needs beyond it would be missed.
fn cut(s: &SeriesData, hints: &SelectHints) -> SeriesData {
    let inside = |t: i64| (hints.start_ms..=hints.end_ms).contains(&t);
    let pairs = s.timestamps.iter().zip(&s.values).filter(|(t, _)| inside(**t));
    let (times, values): (Vec<i64>, Vec<f64>) = pairs.map(|(t, v)| (*t, *v)).unzip();
    SeriesData::new(s.labels.clone(), times, values)
}

pub(crate) fn instant(
    options: EngineOptions,
    storage: &dyn Storage,
    query: &str,
    at: i64,
) -> Result<Answer, QueryError> {
    let engine = Engine::new(options);
    engine.instant(storage, &engine.parse(query)?, at)
}

/// The answer as sorted lines, the error as one line.
pub(crate) fn show(answer: Result<Answer, QueryError>) -> Vec<String> {
    let name = |labels: &Labels| {
        let rest = Labels::new(labels.iter().filter(|(n, _)| *n != METRIC_NAME));
        format!("{}{rest}", labels.get(METRIC_NAME).unwrap_or(""))
    };
    let mut lines = match answer {
        Err(e) => vec![format!("{}: {e}", e.kind())],
        Ok(answer) => match answer.value {
            Value::Scalar { value, .. } => vec![format_value(value)],
            Value::String { value, .. } => vec![value],
            Value::Vector(v) => {
                let number = |s: &VectorSample| format_value(s.sample.float().unwrap());
                v.iter().map(|s| format!("{} {}", name(&s.labels), number(s))).collect()
            }
            Value::Matrix(m) => m
                .iter()
                .map(|s| {
                    let points: Vec<String> =
                        s.points.iter().map(|(t, v)| format!("{}@{t}", format_value(*v))).collect();
                    format!("{} {}", name(&s.labels), points.join(" "))
                })
                .collect(),
        },
    };
    lines.sort();
    lines
}
