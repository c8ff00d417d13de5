//! Prometheus remote write 2.0: protobuf messages with one table of texts, and their meaning as a request of 1.0.
//! Source: the Prometheus Remote-Write 2.0 specification.
//!
//! Native histograms and exemplars are counted and left out: nothing here keeps them.

use prost::Message;

use crate::remote_write::{self, DecodeError, Label, MetricMetadata, Sample, TimeSeries, WriteRequest};

/// What the content type of a request of this version holds.
pub const CONTENT_TYPE_PROTO: &str = "io.prometheus.write.v2.Request";

/// Answer header: samples that were stored.
pub const SAMPLES_WRITTEN: &str = "x-prometheus-remote-write-samples-written";
/// Answer header: native histograms that were stored.
pub const HISTOGRAMS_WRITTEN: &str = "x-prometheus-remote-write-histograms-written";
/// Answer header: exemplars that were stored.
pub const EXEMPLARS_WRITTEN: &str = "x-prometheus-remote-write-exemplars-written";

/// A write request; every text is a number in `symbols`.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// All texts; the first is empty.
    #[prost(string, repeated, tag = "4")]
    pub symbols: Vec<String>,
    /// Series of the request.
    #[prost(message, repeated, tag = "5")]
    pub timeseries: Vec<SeriesV2>,
}

/// One series with its samples.
#[derive(Clone, PartialEq, Message)]
pub struct SeriesV2 {
    /// Numbers of label names and values, alternating.
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    /// Samples, oldest first.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// Native histograms, of which only the number is read.
    #[prost(message, repeated, tag = "3")]
    pub histograms: Vec<Unread>,
    /// Exemplars, of which only the number is read.
    #[prost(message, repeated, tag = "4")]
    pub exemplars: Vec<Unread>,
    /// Type and help of the metric.
    #[prost(message, optional, tag = "5")]
    pub metadata: Option<MetadataV2>,
}

/// A message whose fields are passed over.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Unread {}

/// Type and help of a metric family.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct MetadataV2 {
    /// Metric type, numbered as in 1.0.
    #[prost(int32, tag = "1")]
    pub r#type: i32,
    /// Number of the help text.
    #[prost(uint32, tag = "3")]
    pub help_ref: u32,
    /// Number of the unit.
    #[prost(uint32, tag = "4")]
    pub unit_ref: u32,
}

/// A request read as one of 1.0, and what was left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Series, samples and metadata.
    pub request: WriteRequest,
    /// Native histograms that were left out.
    pub histograms: usize,
    /// Exemplars that were left out.
    pub exemplars: usize,
}

/// Why a request has no meaning.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The body cannot be read.
    #[error("read the body")]
    Decode(#[source] DecodeError),
    /// A number names no text.
    #[error("series {series}: symbol {symbol} does not exist, there are {count}")]
    Symbol {
        /// Which series, from 0.
        series: usize,
        /// Number of the text.
        symbol: u32,
        /// Texts in the request.
        count: usize,
    },
    /// Names and values do not alternate to the end.
    #[error("series {series}: a label name has no value")]
    OddLabels {
        /// Which series, from 0.
        series: usize,
    },
    /// Texts repeated by their numbers would take more memory than a request of 1.0 may.
    #[error("the request spelled out takes more than {limit} bytes")]
    TooLarge {
        /// Limit in force, bytes.
        limit: usize,
    },
}

/// Packs a request as it travels.
///
/// # Errors
/// [`DecodeError::Snappy`] if the request is larger than snappy's 4 GiB.
pub fn encode(request: &Request) -> Result<Vec<u8>, DecodeError> {
    remote_write::pack(request)
}

/// Unpacks a body; neither it nor the texts that its numbers repeat may take more than `max_unpacked_bytes`.
///
/// # Errors
/// What is wrong with the body.
pub fn decode(body: &[u8], max_unpacked_bytes: usize) -> Result<Decoded, RequestError> {
    let request: Request =
        remote_write::decode_message(body, max_unpacked_bytes).map_err(RequestError::Decode)?;
    let mut out = Decoded {
        request: WriteRequest {
            timeseries: Vec::with_capacity(request.timeseries.len()),
            metadata: Vec::new(),
        },
        histograms: 0,
        exemplars: 0,
    };
    let mut room = max_unpacked_bytes;
    for (series, one) in request.timeseries.into_iter().enumerate() {
        let mut text = |symbol: u32| {
            let text = request.symbols.get(symbol as usize).ok_or(RequestError::Symbol {
                series,
                symbol,
                count: request.symbols.len(),
            })?;
            room =
                room.checked_sub(text.len()).ok_or(RequestError::TooLarge { limit: max_unpacked_bytes })?;
            Ok(text.clone())
        };
        let (pairs, rest) = one.labels_refs.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(RequestError::OddLabels { series });
        }
        let labels = pairs
            .iter()
            .map(|[name, value]| Ok(Label { name: text(*name)?, value: text(*value)? }))
            .collect::<Result<Vec<_>, RequestError>>()?;
        if let Some(metadata) = one.metadata
            && let Some(name) = labels.iter().find(|label| label.name == "__name__")
        {
            out.request.metadata.push(MetricMetadata {
                r#type: metadata.r#type,
                metric_family_name: name.value.clone(),
                help: text(metadata.help_ref)?,
                unit: text(metadata.unit_ref)?,
            });
        }
        out.histograms += one.histograms.len();
        out.exemplars += one.exemplars.len();
        if !one.samples.is_empty() {
            out.request.timeseries.push(TimeSeries { labels, samples: one.samples });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> Request {
        Request {
            symbols: ["", "__name__", "up", "job", "node", "is it up", "bool"].map(str::to_owned).to_vec(),
            timeseries: vec![SeriesV2 {
                labels_refs: vec![1, 2, 3, 4],
                samples: vec![Sample { value: 1.0, timestamp: 7 }],
                histograms: vec![Unread {}],
                exemplars: vec![],
                metadata: Some(MetadataV2 { r#type: 2, help_ref: 5, unit_ref: 6 }),
            }],
        }
    }

    #[test]
    fn numbers_become_texts_and_histograms_are_counted() {
        let decoded = decode(&encode(&request()).unwrap(), 10_000).unwrap();
        let series = &decoded.request.timeseries[0];
        assert_eq!(series.labels[1], Label { name: "job".to_owned(), value: "node".to_owned() });
        assert_eq!(series.samples[0].timestamp, 7);
        let metadata = &decoded.request.metadata[0];
        assert_eq!((metadata.metric_family_name.as_str(), metadata.help.as_str()), ("up", "is it up"));
        assert_eq!(decoded.histograms, 1);
    }

    #[test]
    fn numbers_without_text_and_names_without_value_are_refused() {
        let mut wrong = request();
        wrong.timeseries[0].labels_refs = vec![1, 9];
        let error = decode(&encode(&wrong).unwrap(), 10_000).unwrap_err();
        assert!(matches!(error, RequestError::Symbol { series: 0, symbol: 9, count: 7 }), "{error}");
        wrong.timeseries[0].labels_refs = vec![1];
        let error = decode(&encode(&wrong).unwrap(), 10_000).unwrap_err();
        assert!(matches!(error, RequestError::OddLabels { series: 0 }), "{error}");
    }

    #[test]
    fn a_small_body_cannot_repeat_a_long_text_without_bound() {
        let long = Request {
            symbols: vec!["x".repeat(1_000)],
            timeseries: vec![SeriesV2 { labels_refs: vec![0; 200], ..SeriesV2::default() }; 50],
        };
        let error = decode(&encode(&long).unwrap(), 100_000).unwrap_err();
        assert!(matches!(error, RequestError::TooLarge { limit: 100_000 }), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_request_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&body, 1 << 16);
            let packed = snap::raw::Encoder::new().compress_vec(&body).unwrap();
            let _ = decode(&packed, 1 << 16);
        }
    }
}
