//! Parameters of the Prometheus API, from the address and from a form alike.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;

use super::PrometheusError;
use crate::time::Millis;

/// All parameters, in order.
#[derive(Debug, Clone, Default)]
pub struct Form(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = PrometheusError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PrometheusError> {
        let mut pairs = parse(request.uri().query().unwrap_or("").as_bytes());
        let is_form = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if is_form {
            let body = Bytes::from_request(request, state)
                .await
                .map_err(|rejection| PrometheusError::bad_parameter("body", rejection.body_text()))?;
            pairs.extend(parse(&body));
        }
        Ok(Self(pairs))
    }
}

fn parse(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

impl Form {
    /// The first value of a parameter; an empty one counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, PrometheusError> {
        self.get(name).ok_or_else(|| PrometheusError::bad_parameter(name, "is missing"))
    }

    /// A time: seconds since the epoch with fraction, or RFC 3339.
    pub(super) fn time(&self, name: &str) -> Result<Option<Millis>, PrometheusError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        parse_time(text).map(Some).ok_or_else(|| {
            PrometheusError::bad_parameter(name, format!("cannot parse {text:?} to a valid timestamp"))
        })
    }

    /// A length of time in milliseconds: seconds with fraction, or like `1h30m`.
    pub(super) fn duration(&self, name: &str) -> Result<Option<Millis>, PrometheusError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        parse_duration(text).map(Some).ok_or_else(|| {
            PrometheusError::bad_parameter(name, format!("cannot parse {text:?} to a valid duration"))
        })
    }

    /// A limit; 0 and absence mean none.
    pub(crate) fn limit(&self, name: &str) -> Result<usize, PrometheusError> {
        match self.get(name) {
            None => Ok(usize::MAX),
            Some(text) => match text.parse() {
                Ok(0) => Ok(usize::MAX),
                Ok(limit) => Ok(limit),
                Err(_) => Err(PrometheusError::bad_parameter(name, "limit must be a non-negative number")),
            },
        }
    }
}

/// Seconds with fraction to milliseconds, if in the range in which doubles hold every millisecond.
fn seconds_to_ms(seconds: f64) -> Option<Millis> {
    let ms = (seconds * 1_000.0).round();
    #[expect(clippy::cast_possible_truncation, reason = "bounded in the same line")]
    (ms.abs() <= 9_007_199_254_740_992.0).then_some(ms as Millis)
}

fn parse_time(text: &str) -> Option<Millis> {
    match text.parse::<f64>() {
        Ok(seconds) => seconds_to_ms(seconds),
        Err(_) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
    }
}

fn parse_duration(text: &str) -> Option<Millis> {
    match text.parse::<f64>() {
        Ok(seconds) => seconds_to_ms(seconds),
        Err(_) => promql_parser::util::parse_duration(text).ok().map(crate::time::millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_read_as_prometheus_does() {
        for (text, wanted) in [
            ("1435781451.781", Some(1_435_781_451_781)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T22:10:51.781+02:00", Some(1_435_781_451_781)),
            ("-1", Some(-1_000)),
            ("yesterday", None),
            ("1e300", None),
            ("NaN", None),
        ] {
            assert_eq!(parse_time(text), wanted, "{text}");
        }
        for (text, wanted) in
            [("15", Some(15_000)), ("0.5", Some(500)), ("1h30m", Some(5_400_000)), ("x", None)]
        {
            assert_eq!(parse_duration(text), wanted, "{text}");
        }
    }

    #[test]
    fn parameters_may_stand_several_times_and_empty_ones_are_absent() {
        let form = Form(parse(b"match[]=a&match[]=b%7Bc%3D%22d%22%7D&time="));
        assert_eq!(form.all("match[]").collect::<Vec<_>>(), ["a", "b{c=\"d\"}"]);
        assert_eq!(form.get("time"), None);
    }
}
