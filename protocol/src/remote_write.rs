//! Prometheus remote write 1.0: protobuf messages and their snappy block framing.
//! Source: the Prometheus Remote-Write 1.0 specification.

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// A write request: series with samples.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    /// Series of the request.
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
    /// Type and help of metrics.
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<MetricMetadata>,
}

/// One series with its samples.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    /// Labels, sorted by name, with `__name__`.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// Samples, oldest first.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
}

/// A label pair.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Label {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A sample.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    /// Value; the stale marker is the NaN with bits `0x7ff0000000000002`.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Milliseconds since the epoch.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// Type and help of a metric family.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MetricMetadata {
    /// Metric type.
    #[prost(enumeration = "MetricType", tag = "1")]
    pub r#type: i32,
    /// Family name.
    #[prost(string, tag = "2")]
    pub metric_family_name: String,
    /// Help text.
    #[prost(string, tag = "4")]
    pub help: String,
    /// Unit.
    #[prost(string, tag = "5")]
    pub unit: String,
}

/// Metric types of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MetricType {
    /// Not known.
    Unknown = 0,
    /// Counter.
    Counter = 1,
    /// Gauge.
    Gauge = 2,
    /// Histogram.
    Histogram = 3,
    /// Gauge histogram.
    GaugeHistogram = 4,
    /// Summary.
    Summary = 5,
    /// Info.
    Info = 6,
    /// State set.
    StateSet = 7,
}

/// Bits of the NaN that marks the end of a series.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Whether a value is the stale marker. Other NaNs are data.
#[must_use]
pub fn is_stale_marker(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// Why a body is not a write request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The body says it unpacks to more than allowed.
    #[error("the body unpacks to {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Size that the body announces.
        size: usize,
        /// Limit in force.
        limit: usize,
    },
    /// More parts than any sender puts into one request; each costs memory, however short it is.
    #[error("the message has more than {MAX_PARTS} parts")]
    TooManyParts,
    /// Not snappy block format.
    #[error("the body is not in snappy block format")]
    Snappy(#[source] snap::Error),
    /// Not the protobuf message.
    #[error("the body is not the protobuf message that is expected here")]
    Protobuf(#[source] prost::DecodeError),
}

/// Packs a request as it travels.
///
/// # Errors
/// [`DecodeError::Snappy`] if the request is larger than snappy's 4 GiB.
pub fn encode(request: &WriteRequest) -> Result<Vec<u8>, DecodeError> {
    pack(request)
}

/// What a body says that it unpacks to, when that is not more than allowed.
///
/// # Errors
/// It is more, or the body is not in snappy block format.
pub fn unpacked_size(body: &[u8], max_unpacked_bytes: usize) -> Result<usize, DecodeError> {
    let size = snap::raw::decompress_len(body).map_err(DecodeError::Snappy)?;
    if size > max_unpacked_bytes {
        return Err(DecodeError::TooLarge { size, limit: max_unpacked_bytes });
    }
    Ok(size)
}

/// The message in a body of at most `max_unpacked_bytes`, not decoded. The announced size is checked before memory is
/// reserved; whoever decodes it holds to [`MAX_PARTS`].
///
/// # Errors
/// The body is larger, or not in snappy block format.
pub fn unpack(body: &[u8], max_unpacked_bytes: usize) -> Result<Vec<u8>, DecodeError> {
    unpacked_size(body, max_unpacked_bytes)?;
    snap::raw::Decoder::new().decompress_vec(body).map_err(DecodeError::Snappy)
}

/// The request in a body of at most `max_unpacked_bytes` and [`MAX_PARTS`] parts.
///
/// # Errors
/// What is wrong with the body.
pub fn decode(body: &[u8], max_unpacked_bytes: usize) -> Result<WriteRequest, DecodeError> {
    decode_message(body, max_unpacked_bytes)
}

/// Protobuf in snappy's block format.
pub(crate) fn pack(message: &impl Message) -> Result<Vec<u8>, DecodeError> {
    snap::raw::Encoder::new().compress_vec(&message.encode_to_vec()).map_err(DecodeError::Snappy)
}

/// Parts of one message: series, labels, samples, texts, questions. An empty part is two bytes on the way and a hundred
/// in memory.
pub const MAX_PARTS: usize = 2_000_000;

/// Counts the parts of a message and the parts of these down; `false` when there is no room left. What is no protobuf
/// counts up to where it ends being one: decoding says what is wrong with it.
fn has_room(mut message: &[u8], left: &mut usize, deeper: bool) -> bool {
    while let Ok((tag, wire_type)) = decode_key(&mut message) {
        if wire_type != WireType::LengthDelimited {
            if skip_field(wire_type, tag, &mut message, DecodeContext::default()).is_err() {
                break;
            }
            continue;
        }
        let Some(rest) = left.checked_sub(1) else { return false };
        *left = rest;
        let Some((part, after)) = decode_varint(&mut message)
            .ok()
            .and_then(|length| message.split_at_checked(usize::try_from(length).ok()?))
        else {
            break;
        };
        message = after;
        if deeper && !has_room(part, left, false) {
            return false;
        }
    }
    true
}

/// The inverse of [`pack`].
pub(crate) fn decode_message<M: Message + Default>(
    body: &[u8],
    max_unpacked_bytes: usize,
) -> Result<M, DecodeError> {
    let raw = unpack(body, max_unpacked_bytes)?;
    let mut left = MAX_PARTS;
    if !has_room(&raw, &mut left, true) {
        return Err(DecodeError::TooManyParts);
    }
    M::decode(raw.as_slice()).map_err(DecodeError::Protobuf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(name in "[a-z]{1,8}", values in prop::collection::vec((any::<i64>(), -1e9f64..1e9), 0..40)) {
            let request = WriteRequest {
                timeseries: vec![TimeSeries {
                    labels: vec![Label { name: "__name__".into(), value: name }],
                    samples: values.iter().map(|&(timestamp, value)| Sample { value, timestamp }).collect(),
                }],
                metadata: vec![],
            };
            let body = encode(&request).unwrap();
            prop_assert_eq!(decode(&body, 1 << 20).unwrap(), request);
        }

        #[test]
        fn any_bytes_end_in_a_request_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&body, 1 << 16);
        }
    }

    #[test]
    fn a_body_of_empty_parts_is_refused_before_it_is_spread_out() {
        let packed = |message: &[u8]| snap::raw::Encoder::new().compress_vec(message).unwrap();
        let (few, many) = ([0x1a, 0].repeat(MAX_PARTS), [0x1a, 0].repeat(MAX_PARTS + 1));
        assert_eq!(decode(&packed(&few), 1 << 30).unwrap().metadata.len(), MAX_PARTS);
        assert!(matches!(decode(&packed(&many), 1 << 30), Err(DecodeError::TooManyParts)));
        // One series that holds them: the same.
        let mut series = vec![0x0a];
        prost::encoding::encode_varint(many.len() as u64, &mut series);
        series.extend([0x12, 0].repeat(MAX_PARTS + 1));
        assert!(matches!(decode(&packed(&series), 1 << 30), Err(DecodeError::TooManyParts)));
    }

    #[test]
    fn a_body_that_announces_too_much_is_refused_before_it_is_unpacked() {
        let body = snap::raw::Encoder::new().compress_vec(&vec![0; 5_000]).unwrap();
        assert!(matches!(decode(&body, 4_999), Err(DecodeError::TooLarge { size: 5_000, limit: 4_999 })));
    }

    #[test]
    fn the_stale_marker_is_told_from_other_nans() {
        assert!(is_stale_marker(f64::from_bits(STALE_NAN_BITS)));
        assert!(!is_stale_marker(f64::NAN));
    }
}
