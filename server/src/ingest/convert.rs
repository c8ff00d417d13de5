//! Turns a write request into series of the store. Pure.

use std::collections::{BTreeMap, BTreeSet};

use siaga_protocol::metric_names;
use siaga_protocol::remote_write::{MetricType, WriteRequest};
use siaga_tsdb::{Labels, LabelsError, SeriesSamples};

use crate::metrics::MetricInfo;
use crate::rules::{ALERTS, ALERTS_FOR_STATE};

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
    /// An agent writes what only the server makes.
    #[error("series {index}: {name} is a name that only the server writes")]
    Reserved {
        /// Which series of the request, from 0.
        index: usize,
        /// Its name.
        name: String,
    },
}

/// Who writes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Writer<'a> {
    /// A user, who may write anything.
    User,
    /// An agent: each series must bear its `instance` label, and none the name of a series that the server makes.
    Agent {
        /// Its instance.
        instance: &'a str,
        /// Names that recording rules write.
        recorded: &'a BTreeSet<String>,
    },
}

/// Starts of the names that agents collect: a rule that records under such a name must not cost the agents' samples.
const COLLECTED: [&str; 2] = ["node_", "siaga_agent_"];

/// Whether the server itself writes series of this name: alerts, forecasts, presence, and what rules record. A colon
/// stands in the names of recording rules only, by Prometheus' convention.
fn is_reserved(name: &str, recorded: &BTreeSet<String>) -> bool {
    [metric_names::UP, ALERTS, ALERTS_FOR_STATE].contains(&name)
        || name.starts_with(metric_names::FORECAST_PREFIX)
        || name.contains(':')
        || (recorded.contains(name) && !COLLECTED.iter().any(|prefix| name.starts_with(prefix)))
}

/// Series of the request.
pub(super) fn series(request: WriteRequest, writer: Writer<'_>) -> Result<Vec<SeriesSamples>, ConvertError> {
    let convert = |(index, series): (usize, siaga_protocol::remote_write::TimeSeries)| {
        let pairs = series.labels.into_iter().filter(|label| !label.value.is_empty());
        let labels = Labels::from_pairs(pairs.map(|label| (label.name, label.value)))
            .map_err(|source| ConvertError::Labels { index, source })?;
        if let Writer::Agent { instance, recorded } = writer {
            if labels.get("instance") != Some(instance) {
                let (labels, instance) = (labels.to_string(), instance.to_owned());
                return Err(ConvertError::ForeignInstance { index, labels, instance });
            }
            let name = labels.get("__name__").unwrap_or_default();
            if is_reserved(name, recorded) {
                return Err(ConvertError::Reserved { index, name: name.to_owned() });
            }
        }
        let samples = series.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect();
        Ok(SeriesSamples { labels, samples })
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
        let recorded = BTreeSet::from(["busy".to_owned()]);
        let web = Writer::Agent { instance: "web", recorded: &recorded };
        let own = request(&[("__name__", "a"), ("instance", "web")]);
        assert_eq!(series(own, web).unwrap()[0].samples, [(2, 1.0)]);
        for pairs in [&[("__name__", "a"), ("instance", "db")][..], &[("__name__", "a")][..]] {
            let error = series(request(pairs), web).unwrap_err();
            assert!(matches!(error, ConvertError::ForeignInstance { index: 0, .. }), "{error}");
        }
        assert!(series(request(&[("__name__", "a"), ("instance", "db")]), Writer::User).is_ok());
    }

    #[test]
    fn what_only_the_server_makes_is_not_taken_from_an_agent() {
        let recorded = BTreeSet::from(["busy".to_owned(), "node_load1".to_owned()]);
        let web = Writer::Agent { instance: "web", recorded: &recorded };
        for name in [
            "up",
            "ALERTS",
            "ALERTS_FOR_STATE",
            metric_names::FORECAST_DAYS,
            metric_names::FORECAST_PERCENT,
            "siaga_forecast_new",
            "instance:node_cpu:ratio",
            "busy",
        ] {
            let pairs = [("__name__", name), ("instance", "web")];
            let error = series(request(&pairs), web).unwrap_err();
            assert!(matches!(error, ConvertError::Reserved { index: 0, .. }), "{name}: {error}");
            assert!(series(request(&pairs), Writer::User).is_ok());
        }
        for name in ["node_load1", "siaga_agent_build_info", "upper"] {
            assert!(series(request(&[("__name__", name), ("instance", "web")]), web).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_label_that_stands_twice_is_refused_and_an_empty_one_is_none() {
        let twice = request(&[("__name__", "up"), ("a", "1"), ("a", "2")]);
        assert!(matches!(series(twice, Writer::User), Err(ConvertError::Labels { index: 0, .. })));
        let empty = series(request(&[("__name__", "up"), ("a", "")]), Writer::User).unwrap();
        assert_eq!(empty[0].labels.get("a"), None);
    }
}
