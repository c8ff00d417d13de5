//! Siaga beside a real Prometheus: both get the same samples by remote write and are asked the same queries.
//!
//! The reference is Prometheus 2.42, Siaga follows Prometheus 3: where the two versions differ the query stands in
//! `differences.txt` with its reason; everything else must agree.

mod compare;
mod data;
mod generator;
mod templates;

use std::time::{SystemTime, UNIX_EPOCH};

use compare::{Answer, difference, order_differs};
use reqwest::Method;
use siaga_protocol::remote_write::{self, TimeSeries, WriteRequest};
use siaga_tests::harness::{Api, Prometheus, Server};

const HOUR_S: i64 = 3_600;
/// Seed of the generated queries.
const SEED: u64 = 20_261_124;
/// Number of generated queries.
const GENERATED: usize = 300;
/// Where the Prometheus API of Siaga lives.
const UNDER: &str = "/prometheus";

/// Siaga and Prometheus with the same samples.
struct Pair {
    siaga: Server,
    prometheus: Prometheus,
    /// First second of the data, a full hour.
    base_s: i64,
}

impl Pair {
    async fn start() -> Self {
        let (siaga, prometheus) =
            tokio::join!(Server::start("[rules]\ndefaults = false\n"), Prometheus::start(""));
        let (siaga, prometheus) = (siaga.unwrap(), prometheus.unwrap());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let base_s = i64::try_from(now).unwrap() / HOUR_S * HOUR_S - 5 * HOUR_S;
        let pair = Self { siaga, prometheus, base_s };
        pair.write(&data::series(base_s * 1_000)).await;
        pair
    }

    /// Sends the samples an hour at a time: a Prometheus takes no sample that is an hour older than its newest.
    async fn write(&self, series: &[TimeSeries]) {
        let hours = data::SCRAPES * data::SCRAPE_MS / 3_600_000;
        for hour in 0..hours {
            let from = (self.base_s + hour * HOUR_S) * 1_000;
            let part = |one: &TimeSeries| TimeSeries {
                labels: one.labels.clone(),
                samples: one
                    .samples
                    .iter()
                    .filter(|s| (from..from + HOUR_S * 1_000).contains(&s.timestamp))
                    .copied()
                    .collect(),
            };
            let timeseries: Vec<TimeSeries> =
                series.iter().map(part).filter(|s| !s.samples.is_empty()).collect();
            let body = remote_write::encode(&WriteRequest { timeseries, metadata: Vec::new() }).unwrap();
            let (of_siaga, of_prometheus) = tokio::join!(
                self.siaga.api.write_body(body.clone()),
                self.prometheus.api.write_body_to("/api/v1/write", body)
            );
            for (status, text) in [of_siaga.unwrap(), of_prometheus.unwrap()] {
                assert!(status.is_success(), "{status} {text}");
            }
        }
    }

    /// The answers of Prometheus and of Siaga.
    async fn ask(&self, path: &str, form: &[(&str, String)]) -> (Answer, Answer) {
        let of_siaga = format!("{UNDER}{path}");
        tokio::join!(ask(&self.prometheus.api, path, form), ask(&self.siaga.api, &of_siaga, form))
    }
}

async fn ask(api: &Api, path: &str, form: &[(&str, String)]) -> Answer {
    // What is in the path of `label/x/values` can only be asked by GET.
    let response = if path.contains("/label/") {
        let url = reqwest::Url::parse_with_params("http://any/", form).unwrap();
        let path = format!("{path}?{}", url.query().unwrap_or(""));
        api.request(Method::GET, &path).send().await.unwrap()
    } else {
        api.request(Method::POST, path).form(form).send().await.unwrap()
    };
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

/// Queries that are known to differ, each with its reason.
fn known() -> Vec<(String, String)> {
    let text = include_str!("differences.txt");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (query, reason) = line.split_once(" ## ").unwrap_or_else(|| panic!("no reason given: {line}"));
        (query.to_owned(), reason.to_owned())
    };
    lines.map(entry).collect()
}

#[expect(clippy::print_stdout, reason = "the count is part of the test's report")]
fn report(asked: usize, differences: &[String]) {
    println!("{asked} questions asked of both, {} differences", differences.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test]
async fn queries_are_answered_as_prometheus_answers_them() {
    let pair = Pair::start().await;
    let known = known();
    let mut queries = templates::queries(pair.base_s + HOUR_S);
    queries.extend(generator::queries(SEED, GENERATED));
    let (mut asked, mut differences, mut seen) = (0, Vec::new(), vec![false; known.len()]);
    for (number, query) in queries.iter().enumerate() {
        // Nothing else lies on a thousandth of a second: neither samples nor the steps of subqueries.
        let spread = i64::try_from(number % 11).unwrap() * 421;
        let instant = pair.base_s + HOUR_S + spread;
        let instant_form = [("query", query.clone()), ("time", format!("{instant}.001"))];
        let start = pair.base_s + 2 * spread;
        let range_form = [
            ("query", query.clone()),
            ("start", format!("{start}.001")),
            ("end", format!("{}.001", start + 5_000)),
            ("step", ["61", "137", "300"][number % 3].to_owned()),
        ];
        for (path, form) in [("/api/v1/query", &instant_form[..]), ("/api/v1/query_range", &range_form[..])] {
            let (expected, got) = pair.ask(path, form).await;
            asked += 1;
            let sorted =
                query.starts_with("sort") || query.starts_with("topk") || query.starts_with("bottomk");
            let differs = difference(&expected, &got)
                .or_else(|| if sorted { order_differs(&expected, &got) } else { None });
            let Some(how) = differs else { continue };
            match known.iter().position(|(known, _)| known == query) {
                Some(place) => seen[place] = true,
                None => differences.push(format!("{path} {query}\n    {how}")),
            }
        }
    }
    let unseen = known.iter().zip(seen).filter(|(_, seen)| !seen);
    differences.extend(unseen.map(|((query, _), _)| format!("{query} is listed but does not differ")));
    report(asked, &differences);
}

#[tokio::test]
async fn series_labels_and_values_are_those_of_prometheus() {
    let pair = Pair::start().await;
    let selectors = [
        "{job=\"node\"}",
        "node_load1",
        "{__name__=~\"node_.*\",instance=~\"web.*\"}",
        "{kind=~\"[a-z].*\",kind!~\"line.*\",kind!~\"line(?s:.*)\"}",
        "{nothing=\"here\"}",
        "{job=\"node\",mode!=\"\"}",
        "{job=~\".*\"}",
        "{",
        "sum(up)",
    ];
    let ways = ["/api/v1/series", "/api/v1/labels"].into_iter().chain(
        ["job", "instance", "mode", "kind", "__name__", "le", "nothing"].map(|name| match name {
            "job" => "/api/v1/label/job/values",
            "instance" => "/api/v1/label/instance/values",
            "mode" => "/api/v1/label/mode/values",
            "kind" => "/api/v1/label/kind/values",
            "__name__" => "/api/v1/label/__name__/values",
            "le" => "/api/v1/label/le/values",
            _ => "/api/v1/label/nothing/values",
        }),
    );
    let (mut asked, mut differences) = (0, Vec::new());
    for path in ways {
        for (number, selector) in selectors.iter().enumerate() {
            let mut form = vec![("match[]", (*selector).to_owned())];
            if number % 2 == 1 {
                form.push(("match[]", "up{instance=\"db-01\"}".to_owned()));
            }
            form.push(("start", pair.base_s.to_string()));
            form.push(("end", (pair.base_s + 3 * HOUR_S).to_string()));
            let (expected, got) = pair.ask(path, &form).await;
            asked += 1;
            if let Some(how) = difference(&expected, &got) {
                differences.push(format!("{path} {selector}\n    {how}"));
            }
        }
    }
    report(asked, &differences);
}
