//! Reads a remote-write 1.0 message in place: labels borrow from the message, so that a sample of a known series
//! costs no allocation. Takes what the generated decoder takes and reads it in the same way: fields in any order, the
//! last of a field counts, unknown fields are passed over. Parts are counted as the generated decoder counts them, but
//! those of unknown fields, which are not kept.
//! Sources: the Prometheus Remote-Write 1.0 specification; Protocol Buffers "Encoding".

use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use siaga_protocol::remote_write::{MAX_PARTS, MetricMetadata, WriteRequest};
use siaga_tsdb::{Columns, LabelsError};

/// Samples of one request: senders put some thousands into one.
pub(super) const MAX_SAMPLES: usize = 1_000_000;
/// Statements of type and help in one request that are kept.
const MAX_METADATA: usize = 20_000;

/// Why a message is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum WireError<E: std::error::Error + 'static> {
    /// Not the message.
    #[error("the body is not a Prometheus WriteRequest")]
    Malformed(#[from] Malformed),
    /// More than [`MAX_SAMPLES`].
    #[error("more than {MAX_SAMPLES} samples in one request")]
    TooManySamples,
    /// A label set is broken.
    #[error("series {index}: bad labels")]
    Labels {
        /// Which series of the request, from 0.
        index: usize,
        /// Reason.
        #[source]
        source: LabelsError,
    },
    /// The check of a series refused it.
    #[error(transparent)]
    Refused(E),
}

/// What a message holds.
#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    /// Series with samples.
    pub(super) columns: Columns<'a>,
    /// Types and help.
    pub(super) metadata: Vec<MetricMetadata>,
}

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    /// More than [`MAX_PARTS`].
    #[error("it has more than {MAX_PARTS} parts")]
    TooManyParts,
    /// It ends within a field.
    #[error("it ends within a field")]
    Cut,
    /// A field that is known has another type.
    #[error("field {0} has another type")]
    Type(u32),
    /// A text is not UTF-8.
    #[error("field {0} is not UTF-8")]
    Text(u32),
    /// A key, a number or a group is broken.
    #[error(transparent)]
    Encoding(#[from] DecodeError),
}

/// One field of a message.
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// Of a type that no known field has.
    Other,
}

/// Fields of a message, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], Malformed> {
        let (head, rest) =
            usize::try_from(len).ok().and_then(|len| self.0.split_at_checked(len)).ok_or(Malformed::Cut)?;
        self.0 = rest;
        Ok(head)
    }

    /// The next field's number and value; `None` at the end.
    fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = decode_key(&mut self.0)?;
        let value = match wire_type {
            WireType::Varint => Value::Varint(decode_varint(&mut self.0)?),
            WireType::SixtyFourBit => {
                let bytes = self.take(8)?.try_into().map_err(|_| Malformed::Cut)?;
                Value::Fixed64(u64::from_le_bytes(bytes))
            }
            WireType::LengthDelimited => {
                let len = decode_varint(&mut self.0)?;
                Value::Bytes(self.take(len)?)
            }
            _ => {
                skip_field(wire_type, number, &mut self.0, DecodeContext::default())?;
                Value::Other
            }
        };
        Ok(Some((number, value)))
    }
}

fn text(number: u32, bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::Text(number))
}

/// Counts down how many parts may follow.
fn count(left: &mut usize) -> Result<(), Malformed> {
    *left = left.checked_sub(1).ok_or(Malformed::TooManyParts)?;
    Ok(())
}

/// Reads a message. `check` sees the index and the labels of each series and may refuse it.
///
/// # Errors
/// What is wrong with the message.
pub(super) fn read<'a, E: std::error::Error + 'static>(
    raw: &'a [u8],
    mut check: impl FnMut(usize, &[(&'a str, &'a str)]) -> Result<(), E>,
) -> Result<Message<'a>, WireError<E>> {
    let mut message = Message::default();
    let (mut fields, mut left) = (Fields(raw), MAX_PARTS);
    while let Some((number, value)) = fields.next()? {
        if matches!(value, Value::Bytes(_)) {
            count(&mut left)?;
        }
        match (number, value) {
            (1, Value::Bytes(series)) => {
                read_series(series, &mut message.columns, &mut left)?;
                let index = message.columns.len();
                let pairs =
                    message.columns.end_series().map_err(|source| WireError::Labels { index, source })?;
                check(index, pairs).map_err(WireError::Refused)?;
            }
            (3, Value::Bytes(metadata)) => {
                let metadata = read_metadata(metadata, &mut left)?;
                if message.metadata.len() < MAX_METADATA {
                    message.metadata.push(metadata);
                }
            }
            (1 | 3, _) => return Err(Malformed::Type(number).into()),
            _ => {}
        }
    }
    if message.columns.samples().len() > MAX_SAMPLES {
        return Err(WireError::TooManySamples);
    }
    Ok(message)
}

/// As [`read`], for a request that is decoded already.
pub(super) fn from_request<'a, E: std::error::Error + 'static>(
    request: &'a WriteRequest,
    mut check: impl FnMut(usize, &[(&'a str, &'a str)]) -> Result<(), E>,
) -> Result<Message<'a>, WireError<E>> {
    let mut columns = Columns::default();
    for (index, series) in request.timeseries.iter().enumerate() {
        series.labels.iter().for_each(|label| columns.push_label(&label.name, &label.value));
        series.samples.iter().for_each(|sample| columns.push_sample(sample.timestamp, sample.value));
        let pairs = columns.end_series().map_err(|source| WireError::Labels { index, source })?;
        check(index, pairs).map_err(WireError::Refused)?;
    }
    if columns.samples().len() > MAX_SAMPLES {
        return Err(WireError::TooManySamples);
    }
    Ok(Message { columns, metadata: request.metadata.iter().take(MAX_METADATA).cloned().collect() })
}

fn read_series<'a>(raw: &'a [u8], columns: &mut Columns<'a>, left: &mut usize) -> Result<(), Malformed> {
    let mut fields = Fields(raw);
    while let Some((number, value)) = fields.next()? {
        if matches!(value, Value::Bytes(_)) {
            count(left)?;
        }
        match (number, value) {
            (1, Value::Bytes(label)) => {
                let (name, value) = read_label(label)?;
                columns.push_label(name, value);
            }
            (2, Value::Bytes(sample)) => {
                let (timestamp_ms, value) = read_sample(sample)?;
                columns.push_sample(timestamp_ms, value);
            }
            (1 | 2, _) => return Err(Malformed::Type(number)),
            _ => {}
        }
    }
    Ok(())
}

fn read_label(raw: &[u8]) -> Result<(&str, &str), Malformed> {
    let (mut name, mut value) = ("", "");
    let mut fields = Fields(raw);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Bytes(bytes)) => name = text(1, bytes)?,
            (2, Value::Bytes(bytes)) => value = text(2, bytes)?,
            (number @ (1 | 2), _) => return Err(Malformed::Type(number)),
            _ => {}
        }
    }
    Ok((name, value))
}

fn read_sample(raw: &[u8]) -> Result<(i64, f64), Malformed> {
    let (mut timestamp_ms, mut value) = (0, 0.0);
    let mut fields = Fields(raw);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Value::Varint(time)) => timestamp_ms = time.cast_signed(),
            (number @ (1 | 2), _) => return Err(Malformed::Type(number)),
            _ => {}
        }
    }
    Ok((timestamp_ms, value))
}

fn read_metadata(raw: &[u8], left: &mut usize) -> Result<MetricMetadata, Malformed> {
    let mut metadata = MetricMetadata::default();
    let mut fields = Fields(raw);
    while let Some((number, value)) = fields.next()? {
        if matches!(value, Value::Bytes(_)) {
            count(left)?;
        }
        match (number, value) {
            // An `int32`: the lower half counts.
            (1, Value::Varint(kind)) => metadata.r#type = (kind as u32).cast_signed(),
            (2, Value::Bytes(bytes)) => text(2, bytes)?.clone_into(&mut metadata.metric_family_name),
            (4, Value::Bytes(bytes)) => text(4, bytes)?.clone_into(&mut metadata.help),
            (5, Value::Bytes(bytes)) => text(5, bytes)?.clone_into(&mut metadata.unit),
            (1 | 2 | 4 | 5, _) => return Err(Malformed::Type(number)),
            _ => {}
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message as _;
    use siaga_protocol::remote_write::{self, Label, Sample, TimeSeries};
    use siaga_tsdb::Labels;
    use std::convert::Infallible;

    fn request() -> impl Strategy<Value = WriteRequest> {
        let label = ("[a-z]{1,3}", "[a-zé]{0,3}").prop_map(|(name, value)| Label { name, value });
        let sample = (any::<i64>(), any::<u64>())
            .prop_map(|(timestamp, bits)| Sample { timestamp, value: f64::from_bits(bits) });
        let series = (prop::collection::vec(label, 0..5), prop::collection::vec(sample, 0..5))
            .prop_map(|(labels, samples)| TimeSeries { labels, samples });
        let metadata = ("[a-z]{0,4}", 0_i32..9).prop_map(|(name, kind)| MetricMetadata {
            r#type: kind,
            metric_family_name: name.clone(),
            help: name,
            unit: String::new(),
        });
        (prop::collection::vec(series, 0..6), prop::collection::vec(metadata, 0..3))
            .prop_map(|(timeseries, metadata)| WriteRequest { timeseries, metadata })
    }

    /// Labels, and samples with the bits of their values.
    type Bits = (Labels, Vec<(i64, u64)>);

    fn bits(samples: impl Iterator<Item = (i64, f64)>) -> Vec<(i64, u64)> {
        samples.map(|(t, value)| (t, value.to_bits())).collect()
    }

    /// What [`read`] must give for a decoded request.
    fn expected(request: &WriteRequest) -> Result<Vec<Bits>, LabelsError> {
        let series = request.timeseries.iter().map(|series| {
            let pairs = series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
            Ok((Labels::from_pairs(pairs)?, bits(series.samples.iter().map(|s| (s.timestamp, s.value)))))
        });
        series.collect()
    }

    fn read_any(raw: &[u8]) -> Result<Message<'_>, WireError<Infallible>> {
        read(raw, |_, _| Ok(()))
    }

    /// Whether both decoders say the same of these bytes.
    fn agrees(raw: &[u8]) -> Result<(), TestCaseError> {
        let found = read_any(raw);
        let Ok(request) = WriteRequest::decode(raw) else {
            prop_assert!(found.is_err(), "only this decoder took it: {found:?}");
            return Ok(());
        };
        match (expected(&request), found) {
            (Ok(expected), Ok(message)) => {
                let series = message.columns.iter().map(|(pairs, samples)| {
                    (Labels::from_pairs(pairs.iter().copied()).unwrap(), bits(samples.iter().copied()))
                });
                prop_assert_eq!(series.collect::<Vec<_>>(), expected);
                prop_assert_eq!(message.metadata, request.metadata);
            }
            (Err(_), Err(WireError::Labels { .. })) => {}
            (expected, found) => prop_assert!(false, "{expected:?} was wanted, {found:?} was read"),
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn a_request_reads_as_the_generated_decoder_reads_it(request in request()) {
            agrees(&request.encode_to_vec())?;
        }

        #[test]
        fn a_damaged_request_reads_as_the_generated_decoder_reads_it(
            request in request(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut raw = request.encode_to_vec();
            if !raw.is_empty() {
                for (at, byte) in flips {
                    let at = at.index(raw.len());
                    raw[at] = byte;
                }
            }
            agrees(&raw)?;
        }

        #[test]
        fn any_bytes_read_as_the_generated_decoder_reads_them(raw in prop::collection::vec(any::<u8>(), 0..300)) {
            agrees(&raw)?;
        }

        #[test]
        fn bytes_that_look_like_fields_read_as_the_generated_decoder_reads_them(
            raw in prop::collection::vec(prop::sample::select(&[0_u8, 1, 2, 3, 8, 9, 0x0a, 0x0b, 0x0c, 0x12, 0x1a, 0x22, 0x2a, 0x2d, 0x33, 0x34, b'a', 0x7f, 0x80, 0xff][..]), 0..40),
        ) {
            agrees(&raw)?;
        }
    }

    /// A field that holds bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut raw = vec![number << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut raw);
        raw.extend(bytes);
        raw
    }

    #[test]
    fn a_message_of_too_many_parts_is_refused_as_by_the_generated_decoder() {
        let (metadata, label, other) = ([0x1a, 0], [0x0a, 0], [0x3a, 0]);
        let in_series = |part: [u8; 2], parts: usize| field(1, &part.repeat(parts));
        let many = [
            metadata.repeat(MAX_PARTS + 1),
            in_series(label, MAX_PARTS),
            field(3, &[0x12, 0].repeat(MAX_PARTS)),
        ];
        for raw in many {
            let refused = read_any(&raw);
            assert!(matches!(refused, Err(WireError::Malformed(Malformed::TooManyParts))), "{refused:?}");
            let body = snap::raw::Encoder::new().compress_vec(&raw).unwrap();
            let refused = remote_write::decode(&body, 1 << 30);
            assert!(matches!(refused, Err(remote_write::DecodeError::TooManyParts)), "{refused:?}");
        }
        assert_eq!(read_any(&metadata.repeat(MAX_PARTS)).unwrap().metadata.len(), MAX_METADATA);
        assert!(read_any(&in_series(other, MAX_PARTS - 1)).is_ok());
    }

    #[test]
    fn a_request_of_too_many_samples_or_labels_is_refused() {
        let series = |part: [u8; 2], parts: usize| field(1, &part.repeat(parts));
        assert!(read_any(&series([0x12, 0], MAX_SAMPLES)).is_ok());
        let samples = series([0x12, 0], MAX_SAMPLES + 1);
        let refused = read_any(&samples);
        assert!(matches!(refused, Err(WireError::TooManySamples)), "{refused:?}");
        let labels = series([0x0a, 0], 100_000);
        let refused = read_any(&labels);
        assert!(
            matches!(refused, Err(WireError::Labels { index: 0, source: LabelsError::TooMany(_) })),
            "{refused:?}"
        );
    }
}
