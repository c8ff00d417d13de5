//! Remote read (so that a Prometheus can query what is here) and federation (so that one can scrape it).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use siaga_promql::{MatchOp, SelectorBounds, format_value, is_stale_nan};
use siaga_protocol::remote_read::{self, MatcherType, QueryResult, ReadQuery, ReadResponse};
use siaga_protocol::remote_write::{DecodeError, Sample, TimeSeries};
use siaga_tsdb::{Labels, Matcher, Series};

use super::http::selectors;
use super::names::{Escaping, is_plain};
use super::{Form, PrometheusError};
use crate::app::App;
use crate::metrics::to_store_matchers;
use crate::time::{millis, now_ms};

/// Questions of one request; Prometheus sends one.
const MAX_QUESTIONS: usize = 64;
/// The form of answer that is given: whole samples.
const SAMPLES: i32 = 0;

pub(super) async fn read(State(app): State<App>, body: Bytes) -> Result<Response, PrometheusError> {
    let config = app.config.current();
    let request = remote_read::decode_request(&body, config.http.max_unpacked_bytes).map_err(|error| {
        let status = match error {
            DecodeError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        PrometheusError::bad_data(format!("{:#}", anyhow::Error::from(error))).with_status(status)
    })?;
    if request.queries.len() > MAX_QUESTIONS {
        return Err(PrometheusError::bad_data(format!("more than {MAX_QUESTIONS} queries in one request")));
    }
    let accepted = &request.accepted_response_types;
    if !accepted.is_empty() && !accepted.contains(&SAMPLES) {
        return Err(PrometheusError::bad_data("only the response type SAMPLES is implemented"));
    }
    let mut room = config.query.max_samples;
    let mut response = ReadResponse::default();
    let mut held = Vec::new();
    for question in request.queries {
        let (from, to) = (question.start_timestamp_ms, question.end_timestamp_ms);
        let found = app.metrics.read(matchers(question)?, from, to, room).await?;
        room -= found.series.iter().map(|series| series.values.len()).sum::<usize>().min(room);
        held.push(found.held);
        response.results.push(QueryResult { timeseries: found.series.into_iter().map(to_wire).collect() });
    }
    let body = tokio::task::spawn_blocking(move || {
        let _held = held;
        remote_read::encode_response(&response)
    })
    .await;
    let Ok(Ok(body)) = body else { return Err(PrometheusError::internal("the answer is too large to pack")) };
    let headers = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((headers, body).into_response())
}

fn matchers(question: ReadQuery) -> Result<Vec<Matcher>, PrometheusError> {
    let mut bounds = SelectorBounds::default();
    let mut matchers = Vec::with_capacity(question.matchers.len().min(16));
    for matcher in question.matchers {
        let op = match MatcherType::try_from(matcher.r#type) {
            Ok(MatcherType::Equal) => MatchOp::Equal,
            Ok(MatcherType::NotEqual) => MatchOp::NotEqual,
            Ok(MatcherType::Regex) => MatchOp::Regex,
            Ok(MatcherType::NotRegex) => MatchOp::NotRegex,
            Err(_) => {
                return Err(PrometheusError::bad_data(format!("matcher type {} is unknown", matcher.r#type)));
            }
        };
        bounds.count(op)?;
        let matcher = siaga_promql::Matcher::new(matcher.name, op, matcher.value).portable();
        matchers.push(matcher.map_err(|error| PrometheusError::bad_data(error.to_string()))?);
    }
    to_store_matchers(&matchers).map_err(PrometheusError::bad_data)
}

fn to_wire(series: Series) -> TimeSeries {
    let samples = series.timestamps.iter().zip(&series.values);
    TimeSeries {
        labels: series.labels.iter().map(|(name, value)| remote_read::label(name, value)).collect(),
        samples: samples.map(|(&timestamp, &value)| Sample { value, timestamp }).collect(),
    }
}

/// The newest sample of each series that matches, as Prometheus' text format.
pub(super) async fn federate(
    State(app): State<App>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, PrometheusError> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let escaping = Escaping::negotiated(accept);
    let selectors = selectors(&form)?;
    if selectors.is_empty() {
        return Err(PrometheusError::bad_parameter("match[]", "no match[] parameter provided"));
    }
    let query = &app.config.current().query;
    let now = now_ms();
    let mut newest: BTreeMap<Labels, (i64, f64)> = BTreeMap::new();
    for matchers in selectors {
        let from = now - millis(query.lookback) + 1;
        for series in app.metrics.read(matchers, from, now, query.max_samples).await?.series {
            if let (Some(&at), Some(&value)) = (series.timestamps.last(), series.values.last())
                && !is_stale_nan(value)
            {
                newest.insert(series.labels, (at, value));
            }
        }
    }
    let mut lines: Vec<_> = newest.into_iter().collect();
    lines.sort_by(|(a, _), (b, _)| a.get("__name__").cmp(&b.get("__name__")).then_with(|| a.cmp(b)));
    let mut text = String::new();
    let mut last_name = None;
    for (labels, (at, value)) in &lines {
        let name = escaping.name(labels.get("__name__").unwrap_or(""), true);
        // Writing into a string cannot fail.
        if last_name.as_ref() != Some(&name) {
            let _ = writeln!(text, "# TYPE {} untyped", shown_name(&name));
        }
        let _ = writeln!(text, "{} {} {at}", shown(labels, &name, escaping), format_value(*value));
        last_name = Some(name);
    }
    Ok(([(header::CONTENT_TYPE, escaping.content_type())], text).into_response())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn shown_name(name: &str) -> String {
    if is_plain(name, true) { name.to_owned() } else { quoted(name) }
}

/// Name and labels; a name that is no plain word stands quoted in the braces.
fn shown(labels: &Labels, name: &str, escaping: Escaping) -> String {
    let mut inside = Vec::new();
    let plain = is_plain(name, true);
    if !plain {
        inside.push(quoted(name));
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != "__name__") {
        let label = escaping.name(label, false);
        let label = if is_plain(&label, false) { label } else { quoted(&label) };
        inside.push(format!("{label}={}", quoted(value)));
    }
    format!("{}{{{}}}", if plain { name } else { "" }, inside.join(","))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use siaga_protocol::remote_read::{LabelMatcher, ReadRequest};

    use super::*;
    use crate::fuzz::{ROUNDS, Random, packed};

    #[test]
    fn damaged_bodies_of_remote_read_are_questions_or_refused() {
        let mut random = Random(3);
        let mut asked = 0;
        for round in 0..ROUNDS {
            let matcher = |random: &mut Random| LabelMatcher {
                r#type: i32::try_from(random.below(5)).unwrap(),
                name: random.pick(&["__name__", "job", "", "é"]).to_owned(),
                value: random.pick(&["up", "a{b}", "(a|b)+", ".*", "(", "[a-", ""]).to_owned(),
            };
            let question = |random: &mut Random| ReadQuery {
                start_timestamp_ms: random.next().cast_signed() >> random.below(60),
                end_timestamp_ms: random.next().cast_signed() >> random.below(60),
                matchers: (0..random.below(4)).map(|_| matcher(random)).collect(),
            };
            let request = ReadRequest {
                queries: (0..random.below(3)).map(|_| question(&mut random)).collect(),
                accepted_response_types: (0..random.below(3))
                    .map(|kind| i32::try_from(kind).unwrap())
                    .collect(),
            };
            let mut body = request.encode_to_vec();
            if round % 4 > 0 {
                random.damage(&mut body);
            }
            body = packed(&body);
            if round % 8 == 0 {
                random.damage(&mut body);
            }
            let Ok(request) = remote_read::decode_request(&body, 1 << 16) else { continue };
            for question in request.queries {
                let wanted = question.matchers.len();
                if let Ok(found) = matchers(question) {
                    assert_eq!(found.len(), wanted);
                    asked += 1;
                }
            }
        }
        assert!(asked > ROUNDS / 50, "{asked} questions of {ROUNDS} bodies: the target tests little");
    }

    #[test]
    fn a_question_of_too_many_patterns_is_refused() {
        let matcher = LabelMatcher { r#type: 2, name: "a".to_owned(), value: "a.*".to_owned() };
        let question = |count: usize| ReadQuery {
            start_timestamp_ms: 0,
            end_timestamp_ms: 1,
            matchers: vec![matcher.clone(); count],
        };
        assert!(matchers(question(33)).is_err());
        assert_eq!(matchers(question(32)).map(|found| found.len()), Ok(32));
    }

    #[test]
    fn names_and_values_are_written_so_that_they_can_be_read_back() {
        let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied()).unwrap();
        for (pairs, text, escaped) in [
            (
                &[("__name__", "up"), ("job", "a\"b\\c\nd")][..],
                "up{job=\"a\\\"b\\\\c\\nd\"}",
                "up{job=\"a\\\"b\\\\c\\nd\"}",
            ),
            (
                &[("__name__", "http.code"), ("a.b", "c.d")],
                "{\"http.code\",\"a.b\"=\"c.d\"}",
                "http_code{a_b=\"c.d\"}",
            ),
            (&[("__name__", "a:b")], "a:b{}", "a:b{}"),
        ] {
            let labels = labels(pairs);
            let written = |escaping: Escaping| {
                shown(&labels, &escaping.name(labels.get("__name__").unwrap(), true), escaping)
            };
            assert_eq!(written(Escaping::AllowUtf8), text);
            assert_eq!(written(Escaping::negotiated("text/plain;version=0.0.4")), escaped);
        }
    }
}
