//! Turns a write request into series of the store. Pure.

use std::collections::BTreeMap;

use siaga_protocol::remote_write::{MetricType, WriteRequest};
use siaga_tsdb::{Labels, LabelsError, SeriesSamples};

use crate::metrics::MetricInfo;

/// Why a write request is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A label set is broken.
    #[error("series {index}: bad labels")]
    Labels {
        /// Which series of the request, from 0.
        index: usize,
        /// Reason.
        #[source]
        source: LabelsError,
    },
    /// An agent writes for somebody else.
    #[error("series {index} ({labels}): an agent writes only with instance=\"{instance}\"")]
    ForeignInstance {
        /// Which series of the request, from 0.
        index: usize,
        /// Its labels.
        labels: String,
        /// The only instance allowed.
        instance: String,
    },
}

/// Series of the request. With `instance`, each must bear that very `instance` label.
pub(super) fn series(
    request: WriteRequest,
    instance: Option<&str>,
) -> Result<Vec<SeriesSamples>, ConvertError> {
    let convert = |(index, series): (usize, siaga_protocol::remote_write::TimeSeries)| {
        let pairs = series.labels.into_iter().filter(|label| !label.value.is_empty());
        let labels = Labels::from_pairs(pairs.map(|label| (label.name, label.value)))
            .map_err(|source| ConvertError::Labels { index, source })?;
        match instance {
            Some(instance) if labels.get("instance") != Some(instance) => {
                Err(ConvertError::ForeignInstance {
                    index,
                    labels: labels.to_string(),
                    instance: instance.to_owned(),
                })
            }
            _ => Ok(SeriesSamples {
                labels,
                samples: series.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect(),
            }),
        }
    };
    request.timeseries.into_iter().enumerate().map(convert).collect()
}

/// Series by their `instance` label, which may be empty.
pub(super) fn by_instance(series: Vec<SeriesSamples>) -> BTreeMap<String, Vec<SeriesSamples>> {
    let mut groups: BTreeMap<String, Vec<SeriesSamples>> = BTreeMap::new();
    for one in series {
        groups.entry(one.labels.get("instance").unwrap_or("").to_owned()).or_default().push(one);
    }
    groups
}

/// Types and help that the request states.
pub(super) fn metadata(request: &mut WriteRequest) -> Vec<(String, MetricInfo)> {
    std::mem::take(&mut request.metadata)
        .into_iter()
        .map(|metadata| {
            let kind = match MetricType::try_from(metadata.r#type) {
                Ok(MetricType::Counter) => "counter",
                Ok(MetricType::Gauge) => "gauge",
                Ok(MetricType::Histogram) => "histogram",
                Ok(MetricType::GaugeHistogram) => "gaugehistogram",
                Ok(MetricType::Summary) => "summary",
                Ok(MetricType::Info) => "info",
                Ok(MetricType::StateSet) => "stateset",
                _ => "unknown",
            };
            let info = MetricInfo { kind: kind.to_owned(), help: metadata.help, unit: metadata.unit };
            (metadata.metric_family_name, info)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use siaga_protocol::remote_write::{Label, Sample, TimeSeries};

    fn request(pairs: &[(&str, &str)]) -> WriteRequest {
        let label = |&(name, value): &(&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
        WriteRequest {
            timeseries: vec![TimeSeries {
                labels: pairs.iter().map(label).collect(),
                samples: vec![Sample { value: 1.0, timestamp: 2 }],
            }],
            metadata: vec![],
        }
    }

    #[test]
    fn an_agent_writes_only_for_its_own_host() {
        let own = request(&[("__name__", "up"), ("instance", "web")]);
        assert_eq!(series(own, Some("web")).unwrap()[0].samples, [(2, 1.0)]);
        for pairs in [&[("__name__", "up"), ("instance", "db")][..], &[("__name__", "up")][..]] {
            let error = series(request(pairs), Some("web")).unwrap_err();
            assert!(matches!(error, ConvertError::ForeignInstance { index: 0, .. }), "{error}");
        }
        assert!(series(request(&[("__name__", "up"), ("instance", "db")]), None).is_ok());
    }

    #[test]
    fn a_label_that_stands_twice_is_refused_and_an_empty_one_is_none() {
        let twice = request(&[("__name__", "up"), ("a", "1"), ("a", "2")]);
        assert!(matches!(series(twice, None), Err(ConvertError::Labels { index: 0, .. })));
        let empty = series(request(&[("__name__", "up"), ("a", "")]), None).unwrap();
        assert_eq!(empty[0].labels.get("a"), None);
    }
}
