//! The body of a remote write, of version 1.0 or 2.0: headers and size are checked before anything is unpacked.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use siaga_protocol::remote_write::{self, DecodeError};
use siaga_protocol::remote_write_v2::{self, CONTENT_TYPE_PROTO, Decoded, RequestError};

use super::convert::{self, ConvertError, Writer};
use super::wire::{self, Message, WireError};
use crate::http::ApiError;

/// A body that may be unpacked.
pub(super) struct Packed {
    body: Bytes,
    second_version: bool,
    size: usize,
    limit: usize,
}

/// What it holds.
pub(super) enum Unpacked {
    /// The message of 1.0, read in place.
    First(Vec<u8>),
    /// The message of 2.0.
    Second(Decoded),
}

impl Packed {
    /// Checks the headers as the specification of remote write demands, and the size that the body announces.
    pub(super) fn new(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Self, ApiError> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let content_type = text(header::CONTENT_TYPE);
        let message = content_type.split_once("proto=").map(|(_, name)| name.trim_matches(['"', ' ']));
        if message.is_some_and(|name| !["prometheus.WriteRequest", CONTENT_TYPE_PROTO].contains(&name)) {
            let error = format!("{content_type} is not spoken here");
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error).at("Content-Type"));
        }
        let encoding = text(header::CONTENT_ENCODING);
        if !encoding.is_empty() && encoding != "snappy" {
            let error = format!("{encoding} is not snappy");
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error).at("Content-Encoding"));
        }
        let size = remote_write::unpacked_size(&body, limit)?;
        Ok(Self { body, second_version: message == Some(CONTENT_TYPE_PROTO), size, limit })
    }

    /// Bytes that it unpacks to.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Unpacks it. Takes time: not on an async thread.
    pub(super) fn unpack(self) -> Result<Unpacked, ApiError> {
        if self.second_version {
            return Ok(Unpacked::Second(remote_write_v2::decode(&self.body, self.limit)?));
        }
        Ok(Unpacked::First(remote_write::unpack(&self.body, self.limit)?))
    }
}

impl Unpacked {
    /// The series, all of which `writer` may write, and the metadata.
    pub(super) fn message(&self, writer: Writer<'_>) -> Result<Message<'_>, WireError<ConvertError>> {
        let check = |index: usize, labels: &[(&str, &str)]| convert::check(index, labels, writer);
        match self {
            Self::First(raw) => wire::read(raw, check),
            Self::Second(decoded) => wire::from_request(&decoded.request, check),
        }
    }

    /// Native histograms that were left out.
    pub(super) fn histograms(&self) -> usize {
        match self {
            Self::First(_) => 0,
            Self::Second(decoded) => decoded.histograms,
        }
    }
}

impl From<DecodeError> for ApiError {
    fn from(error: DecodeError) -> Self {
        refused(matches!(error, DecodeError::TooLarge { .. }), error.into())
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let too_large = matches!(
            error,
            RequestError::TooLarge { .. } | RequestError::Decode(DecodeError::TooLarge { .. })
        );
        refused(too_large, error.into())
    }
}

impl From<WireError<ConvertError>> for ApiError {
    fn from(error: WireError<ConvertError>) -> Self {
        match error {
            WireError::Refused(refused) => refused.into(),
            WireError::Malformed(_) => refused(false, error.into()),
            WireError::Labels { .. } => refused(false, error.into()).at("timeseries"),
            WireError::TooManySamples => refused(true, error.into()).at("timeseries"),
        }
    }
}

fn refused(too_large: bool, error: anyhow::Error) -> ApiError {
    let status = if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
    ApiError::new(status, format!("{error:#}")).at("body")
}
