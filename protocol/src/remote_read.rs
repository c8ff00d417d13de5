//! Prometheus remote read: protobuf messages of the sampled answer and their snappy block framing.
//! Source: Prometheus' `prompb/remote.proto`.

use prost::Message;

use crate::remote_write::{self, DecodeError, Label, TimeSeries};

/// Several questions at once.
#[derive(Clone, PartialEq, Message)]
pub struct ReadRequest {
    /// Questions.
    #[prost(message, repeated, tag = "1")]
    pub queries: Vec<ReadQuery>,
    /// Forms of answer that the client understands, best first; none means samples.
    #[prost(int32, repeated, tag = "2")]
    pub accepted_response_types: Vec<i32>,
}

/// Series of a window.
#[derive(Clone, PartialEq, Message)]
pub struct ReadQuery {
    /// First millisecond, inclusive.
    #[prost(int64, tag = "1")]
    pub start_timestamp_ms: i64,
    /// Last millisecond, inclusive.
    #[prost(int64, tag = "2")]
    pub end_timestamp_ms: i64,
    /// Conditions, all of which must hold.
    #[prost(message, repeated, tag = "3")]
    pub matchers: Vec<LabelMatcher>,
}

/// One condition on one label.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LabelMatcher {
    /// Kind of comparison.
    #[prost(enumeration = "MatcherType", tag = "1")]
    pub r#type: i32,
    /// Label name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Value or pattern.
    #[prost(string, tag = "3")]
    pub value: String,
}

/// Kinds of comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MatcherType {
    /// `=`
    Equal = 0,
    /// `!=`
    NotEqual = 1,
    /// `=~`
    Regex = 2,
    /// `!~`
    NotRegex = 3,
}

/// The answers, in the order of the questions.
#[derive(Clone, PartialEq, Message)]
pub struct ReadResponse {
    /// Answers.
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<QueryResult>,
}

/// Answer to one question.
#[derive(Clone, PartialEq, Message)]
pub struct QueryResult {
    /// Series, in order of labels.
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
}

/// A label pair.
#[must_use]
pub fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

/// Unpacks a request of at most `max_unpacked_bytes`.
///
/// # Errors
/// What is wrong with the body.
pub fn decode_request(body: &[u8], max_unpacked_bytes: usize) -> Result<ReadRequest, DecodeError> {
    remote_write::decode_message(body, max_unpacked_bytes)
}

/// Packs a request as a client sends it.
///
/// # Errors
/// [`DecodeError::Snappy`] if it is larger than snappy's 4 GiB.
pub fn encode_request(request: &ReadRequest) -> Result<Vec<u8>, DecodeError> {
    remote_write::pack(request)
}

/// Packs an answer as it travels.
///
/// # Errors
/// [`DecodeError::Snappy`] if it is larger than snappy's 4 GiB.
pub fn encode_response(response: &ReadResponse) -> Result<Vec<u8>, DecodeError> {
    remote_write::pack(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_end_in_a_request_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_request(&body, 1 << 16);
            let packed = snap::raw::Encoder::new().compress_vec(&body).unwrap();
            let _ = decode_request(&packed, 1 << 16);
        }

        #[test]
        fn what_is_packed_unpacks_to_the_same(start: i64, end: i64, name in "[a-z]{0,9}", kind in 0..4) {
            let matcher = LabelMatcher { r#type: kind, name: name.clone(), value: name };
            let query = ReadQuery { start_timestamp_ms: start, end_timestamp_ms: end, matchers: vec![matcher] };
            let request = ReadRequest { queries: vec![query], accepted_response_types: vec![1, 0] };
            let body = remote_write::pack(&request).unwrap();
            prop_assert_eq!(decode_request(&body, 1 << 16).unwrap(), request);
        }
    }
}
