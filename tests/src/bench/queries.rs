//! The queries of the comparison, and how long each takes.

use std::time::Instant;

use anyhow::ensure;

use super::servers::Running;
use super::wire::Connection;

/// One query: letter, what it is, path below the API with `{start}`, `{end}` for seconds.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// Letter.
    pub letter: char,
    /// What is asked, short.
    pub what: &'static str,
    path: &'static str,
    expression: &'static str,
    /// Seconds between the points, 0 for one point.
    step: u32,
    /// Where a millisecond more than the better peer is as good.
    pub small: bool,
}

const SPAN_SECONDS: i64 = 6 * 3600;

/// All queries.
pub const QUERIES: [Query; 7] = [
    Query {
        letter: 'a',
        what: "one host's CPU rate, 6 h",
        path: "query_range",
        expression: r#"rate(node_cpu_seconds_total{host="h12",mode="user"}[5m])"#,
        step: 60,
        small: true,
    },
    Query {
        letter: 'b',
        what: "CPU rate of the fleet by host, 6 h",
        path: "query_range",
        expression: "sum by (host) (rate(node_cpu_seconds_total[5m]))",
        step: 60,
        small: false,
    },
    Query {
        letter: 'c',
        what: "topk of predict_linear[6h]",
        path: "query",
        expression: "topk(10, predict_linear(node_filesystem_used_bytes[6h], 86400*30))",
        step: 0,
        small: false,
    },
    Query {
        letter: 'd',
        what: "avg_over_time[1h], 6 h",
        path: "query_range",
        expression: "avg_over_time(node_load1[1h])",
        step: 300,
        small: false,
    },
    Query {
        letter: 'e',
        what: "series of one host",
        path: "series",
        expression: r#"{host="h12"}"#,
        step: 0,
        small: true,
    },
    Query {
        letter: 'f',
        what: "values of label host",
        path: "label/host/values",
        expression: "",
        step: 0,
        small: true,
    },
    Query {
        letter: 'g',
        what: "max by host, regex matchers, 6 h",
        path: "query_range",
        expression: r#"max by (host) (node_filesystem_used_bytes{host=~"h1.*",mountpoint!="/data3"}) / 1e9"#,
        step: 60,
        small: false,
    },
];

impl Query {
    fn target(&self, prefix: &str, end_ms: i64) -> String {
        let end = end_ms / 1000;
        let start = end - SPAN_SECONDS;
        let text: String = form_urlencode(self.expression);
        let rest = match self.path {
            "query_range" => format!("query={text}&start={start}&end={end}&step={}", self.step),
            "query" => format!("query={text}&time={end}"),
            "series" => format!("match[]={text}&start={start}&end={end}"),
            _ => format!("start={start}&end={end}"),
        };
        // VictoriaMetrics answers range queries from a cache of its own unless it is told not to.
        format!("{prefix}/api/v1/{}?{rest}&nocache=1", self.path)
    }
}

/// As a value of a query string.
pub(super) fn form_urlencode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Median milliseconds of each query, its answer read to the end.
///
/// # Errors
/// A query is refused or its answer is empty.
pub fn latencies(server: &Running, end_ms: i64, repeat: usize) -> anyhow::Result<Vec<f64>> {
    let mut connection = Connection::open(server.address, &server.authorization)?;
    let mut medians = Vec::with_capacity(QUERIES.len());
    for query in QUERIES {
        let target = query.target(server.kind.prefix(), end_ms);
        let mut times = Vec::with_capacity(repeat);
        for _ in 0..repeat.max(1) {
            let began = Instant::now();
            let (status, body) = connection.get(&target)?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
            let text = String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
            ensure!(status == 200, "{}: query {} answered {status}: {text}", server.kind, query.letter);
            ensure!(body.len() > 100, "{}: query {} found nothing: {text}", server.kind, query.letter);
        }
        times.sort_by(f64::total_cmp);
        medians.push(times.get(times.len() / 2).copied().unwrap_or(f64::NAN));
    }
    Ok(medians)
}
