//! What a writer may write, and how its statements are kept. Pure.

use std::collections::{BTreeMap, BTreeSet};

use siaga_protocol::remote_write::{MetricMetadata, MetricType};
use siaga_tsdb::{Columns, LabelsError};

use super::names::{self, NameError};
use crate::metrics::MetricInfo;

/// Why a write request is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A name is none.
    #[error("series {index}")]
    Name {
        /// Which series of the request, from 0.
        index: usize,
        /// Reason.
        #[source]
        source: NameError,
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
pub(super) fn is_reserved(name: &str, recorded: &BTreeSet<String>) -> bool {
    names::is_of_server(name)
        || name.contains(':')
        || (recorded.contains(name) && !COLLECTED.iter().any(|prefix| name.starts_with(prefix)))
}

/// Whether the writer may write this series; its labels are sorted.
pub(super) fn check(index: usize, labels: &[(&str, &str)], writer: Writer<'_>) -> Result<(), ConvertError> {
    names::check(labels).map_err(|source| ConvertError::Name { index, source })?;
    let Writer::Agent { instance, recorded } = writer else { return Ok(()) };
    if value(labels, "instance") != instance {
        let text: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let (labels, instance) = (format!("{{{}}}", text.join(", ")), instance.to_owned());
        return Err(ConvertError::ForeignInstance { index, labels, instance });
    }
    let name = value(labels, "__name__");
    if is_reserved(name, recorded) {
        return Err(ConvertError::Reserved { index, name: name.to_owned() });
    }
    Ok(())
}

/// The value of a label, empty when there is none.
fn value<'a>(labels: &[(&str, &'a str)], name: &str) -> &'a str {
    labels.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
}

/// Series by their `instance` label, which may be empty.
pub(super) fn by_instance<'a>(columns: &Columns<'a>) -> Result<BTreeMap<&'a str, Columns<'a>>, LabelsError> {
    let mut groups: BTreeMap<&'a str, Columns<'a>> = BTreeMap::new();
    for (labels, samples) in columns.iter() {
        let group = groups.entry(value(labels, "instance")).or_default();
        labels.iter().for_each(|(name, value)| group.push_label(name, value));
        samples.iter().for_each(|&(timestamp_ms, value)| group.push_sample(timestamp_ms, value));
        group.end_series()?;
    }
    Ok(groups)
}

/// Types and help as they are remembered.
pub(super) fn metadata(stated: Vec<MetricMetadata>) -> impl Iterator<Item = (String, MetricInfo)> {
    stated.into_iter().map(|metadata| {
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
}

#[cfg(test)]
mod tests {
    use siaga_protocol::metric_names;

    use super::*;

    #[test]
    fn an_agent_writes_only_for_its_own_host() {
        let recorded = BTreeSet::from(["busy".to_owned()]);
        let web = Writer::Agent { instance: "web", recorded: &recorded };
        assert_eq!(check(0, &[("__name__", "a"), ("instance", "web")], web), Ok(()));
        for pairs in [&[("__name__", "a"), ("instance", "db")][..], &[("__name__", "a")][..]] {
            let error = check(3, pairs, web).unwrap_err();
            assert!(matches!(error, ConvertError::ForeignInstance { index: 3, .. }), "{error}");
        }
        assert_eq!(check(0, &[("__name__", "a"), ("instance", "db")], Writer::User), Ok(()));
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
            "siaga_incidents_open",
            "instance:node_cpu:ratio",
            "busy",
        ] {
            let pairs = [("__name__", name), ("instance", "web")];
            let error = check(0, &pairs, web).unwrap_err();
            assert!(matches!(error, ConvertError::Reserved { index: 0, .. }), "{name}: {error}");
            assert_eq!(check(0, &pairs, Writer::User), Ok(()));
        }
        for name in ["node_load1", "siaga_agent_build_info", "upper"] {
            assert_eq!(check(0, &[("__name__", name), ("instance", "web")], web), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_its_series() {
        let recorded = BTreeSet::new();
        for writer in [Writer::User, Writer::Agent { instance: "web", recorded: &recorded }] {
            let error = check(2, &[("__name__", " up"), ("instance", "web")], writer).unwrap_err();
            let text = format!("{:#}", anyhow::Error::from(error));
            assert!(text.starts_with("series 2: \" up\" is no name"), "{text}");
        }
    }

    #[test]
    fn history_is_told_apart_by_host() {
        let mut columns = Columns::default();
        for (name, host) in [("a", "web"), ("b", "db"), ("c", "web")] {
            columns.push_label("__name__", name);
            columns.push_label("instance", host);
            columns.push_sample(1, 2.0);
            columns.end_series().unwrap();
        }
        let groups = by_instance(&columns).unwrap();
        let sizes: Vec<_> = groups.iter().map(|(host, columns)| (*host, columns.len())).collect();
        assert_eq!(sizes, [("db", 1), ("web", 2)]);
    }
}
