//! Answers in Prometheus' JSON form; those with samples are in `evaluated`.

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

/// `{"status":"success","data":…}` with notes.
#[derive(Debug)]
pub(super) struct Success<T> {
    pub(super) data: T,
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
}

impl<T> Success<T> {
    pub(super) fn new(data: T) -> Self {
        Self { data, warnings: Vec::new(), infos: Vec::new() }
    }
}

impl<T: Serialize> Serialize for Success<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Success", 4)?;
        out.serialize_field("status", "success")?;
        out.serialize_field("data", &self.data)?;
        if !self.warnings.is_empty() {
            out.serialize_field("warnings", &self.warnings)?;
        }
        if !self.infos.is_empty() {
            out.serialize_field("infos", &self.infos)?;
        }
        out.end()
    }
}

/// The warning on a list that the request's limit cut.
pub(super) const TRUNCATED: &str = "results truncated due to limit";
