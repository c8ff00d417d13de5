//! Whatever text comes in, the engine answers or refuses; it never panics, overflows its stack or runs away.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{MINUTE, Memory, instant, show};
use proptest::prelude::*;
use siaga_promql::{Engine, EngineOptions};

fn storage() -> Memory {
    Memory::every_minute(&[
        (&[("__name__", "a"), ("x", "1"), ("le", "1")], &[1.0, 2.0, f64::NAN, 0.5]),
        (&[("__name__", "b"), ("x", "2"), ("le", "+Inf")], &[3.0, f64::INFINITY, -1.0, 4.0]),
    ])
}

fn options() -> EngineOptions {
    EngineOptions { max_samples: 100_000, ..EngineOptions::default() }
}

fn ask(text: &str) {
    let engine = Engine::new(options());
    let Ok(query) = engine.parse(text) else { return };
    let storage = storage();
    // Errors are answers too.
    for at in [0, 3 * MINUTE, -MINUTE, i64::MAX, i64::MIN] {
        drop(engine.instant(&storage, &query, at));
    }
    drop(engine.range(&storage, &query, 0, 3 * MINUTE, MINUTE));
}

/// Pieces of the language; glued together they reach deeper than random characters.
const PIECES: &[&str] = &[
    "a",
    "b",
    "{x=\"1\"}",
    "{x=~\".*\"}",
    "{",
    "}",
    "(",
    ")",
    "[5m]",
    "[1m:30s]",
    "[",
    "]",
    ":",
    " offset 1m",
    " offset -1e9",
    " @ 60",
    " @ end()",
    " @ -1e30",
    "1",
    "-",
    "+",
    "*",
    "/",
    "%",
    "^",
    "==",
    "!=",
    ">",
    "<=",
    " bool ",
    " and ",
    " or ",
    " unless ",
    " on(x) ",
    " ignoring(le) ",
    " group_left(x) ",
    " group_right ",
    "sum",
    "topk",
    "quantile",
    "count_values",
    " by (x) ",
    " without (le) ",
    "rate(",
    "avg_over_time(",
    "quantile_over_time(",
    "histogram_quantile(",
    "label_replace(",
    "label_join(",
    "absent(",
    "scalar(",
    "vector(",
    "time()",
    "predict_linear(",
    "clamp(",
    ",",
    "\"",
    "'",
    "`",
    "\"x\"",
    "\"$1\"",
    "\"(.*)\"",
    "\"\\xff\"",
    "NaN",
    "Inf",
    "1e309",
    "0x",
    "1_000",
    "#",
    "\n",
    "é",
    "\u{0}",
    "fill(0)",
    "5m",
    "[1e400]",
];

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PIECES)
}

const OPERATORS: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "atan2",
    "==",
    "> bool",
    "<",
    "and",
    "or",
    "unless",
    "+ on()",
    "* ignoring(x,le)",
    "/ on(x) group_left(le)",
    "- on(x) group_right()",
    "+ fill(0)",
];
const AGGREGATES: &[&str] =
    &["sum", "avg by (x)", "min without (le)", "count", "group", "stddev", "stdvar", "max by (le)"];
const RANKED: &[&str] = &["topk", "bottomk", "quantile", "limitk", "limit_ratio"];
const OVER_TIME: &[&str] = &[
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "changes",
    "resets",
    "deriv",
    "avg_over_time",
    "stddev_over_time",
    "mad_over_time",
    "ts_of_max_over_time",
    "last_over_time",
    "absent_over_time",
];
const FUNCTIONS: &[&str] =
    &["abs", "ceil", "sgn", "sort", "timestamp", "absent", "day_of_year", "-", "histogram_sum"];
/// Complete expressions, so that evaluation and not only parsing is reached.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "b",
        "{x=~\".+\"}",
        "vector(1)",
        "a @ 60",
        "b offset -1m",
        "rate(a[2m])",
        "absent(a)",
        "deriv({x=~\".+\"}[3m])",
        "minute()",
        "a @ start()",
    ])
    .prop_map(str::to_owned);
    let number =
        prop::sample::select(vec!["0", "1", "-1", "1e300", "NaN", "Inf", "scalar(a)", "time()", "3.7"]);
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let op = prop::sample::select(OPERATORS);
        let aggregate = prop::sample::select(AGGREGATES);
        let ranked = prop::sample::select(RANKED);
        let over = prop::sample::select(OVER_TIME);
        let function = prop::sample::select(FUNCTIONS);
        let number = number.clone();
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(l, op, r)| format!("({l}) {op} ({r})")),
            (aggregate, inner.clone()).prop_map(|(a, e)| format!("{a} ({e})")),
            (ranked, number.clone(), inner.clone()).prop_map(|(a, n, e)| format!("{a}({n}, {e})")),
            (over, inner.clone()).prop_map(|(f, e)| format!("{f}(({e})[3m:30s])")),
            (function, inner.clone()).prop_map(|(f, e)| format!("{f}({e})")),
            (number.clone(), inner.clone()).prop_map(|(n, e)| format!("histogram_quantile({n}, {e})")),
            (number.clone(), inner.clone())
                .prop_map(|(n, e)| format!("clamp_max({e}, {n}) or round({e}, {n})")),
            inner.clone().prop_map(|e| format!("label_replace({e}, \"le\", \"$1\", \"x\", \"(.)\")")),
            inner.prop_map(|e| format!("count_values(\"v\", {e})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,60}") {
        ask(&text);
    }

    #[test]
    fn arbitrary_pieces_of_the_language_never_panic(pieces in prop::collection::vec(piece(), 0..14)) {
        ask(&pieces.concat());
    }

    #[test]
    fn a_range_query_says_at_each_step_what_an_instant_query_says(text in expression()) {
        let engine = Engine::new(options());
        let storage = storage();
        let query = engine.parse(&text).unwrap();
        // start() moves with the query, sorted answers and hash-free ties do not matter: lines are sorted.
        prop_assume!(!text.contains("@ start()"));
        let Ok(range) = engine.range(&storage, &query, 0, 4 * MINUTE, MINUTE) else { return Ok(()) };
        let siaga_promql::Value::Matrix(series) = range.value else { panic!("no matrix") };
        for step in 0..=4 {
            let at = step * MINUTE;
            let mut lines: Vec<String> = series
                .iter()
                .filter_map(|s| {
                    let value = s.points.iter().find(|p| p.0 == at)?.1;
                    Some(format!("{} {}", s.labels, value.to_bits()))
                })
                .collect();
            lines.sort();
            let Ok(answer) = engine.instant(&storage, &query, at) else {
                return Err(TestCaseError::fail("fails at an instant but not over the range"));
            };
            let siaga_promql::Value::Vector(vector) = answer.value else { panic!("no vector") };
            let mut expected: Vec<String> =
                vector.iter().map(|s| format!("{} {}", s.labels, s.sample.float().unwrap().to_bits())).collect();
            expected.sort();
            prop_assert_eq!(&lines, &expected, "{} at {}", text, at);
        }
    }
}

#[test]
fn deep_and_long_queries_are_refused_or_answered_on_a_small_stack() {
    let deep = [
        format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{}a{}", "abs(".repeat(300), ")".repeat(300)),
        "-".repeat(100_000) + "1",
        vec!["a"; 20_000].join("+"),
        vec!["a"; 1_500].join(" or "),
        format!("{}a{}", "sum(".repeat(10_000), ")".repeat(10_000)),
        format!("a{}", "[1m:]".repeat(50)),
        "{".repeat(50_000),
        format!("a{{x=~\"{}\"}}", "(".repeat(10_000)),
        format!("a{{x=~\"{}\"}}", "(a{1000}){1000}"),
    ];
    for query in &deep {
        assert!(show(instant(options(), &storage(), query, 0))[0].starts_with("bad_data"), "{:.40}", query);
    }
    // The deepest that is allowed must fit a thread's usual stack.
    let depth = EngineOptions::default().max_depth;
    let allowed = [
        format!("{}a{}", "abs(".repeat(depth - 1), ")".repeat(depth - 1)),
        vec!["a"; depth].join(" or "),
        format!("{}a{}", "avg_over_time((".repeat(depth / 3), ")[1m:1m])".repeat(depth / 3)),
    ];
    for query in &allowed {
        let lines = show(instant(options(), &storage(), query, 0));
        assert!(!lines.iter().any(|l| l.starts_with("bad_data")), "{lines:?} {query:.40}");
    }
}

#[test]
fn labels_do_not_double_without_end() {
    let doubled = |text: String, _| format!("label_replace({text}, \"x\", \"$1$1\", \"x\", \"(.*)\")");
    let replaced = (0..40).fold("a".to_owned(), doubled);
    let joined = |text: String, _| format!("label_join({text}, \"x\", \"\", \"x\", \"x\")");
    let joined = (0..40).fold("a".to_owned(), joined);
    for (query, function) in [(replaced, "label_replace"), (joined, "label_join")] {
        let lines = show(instant(options(), &storage(), &query, 0));
        assert_eq!(
            lines,
            [format!("execution: {function}() would make a label value of more than 65536 bytes")]
        );
    }
    let patterns = vec!["x!~\"a.*\""; 33].join(",");
    let lines = show(instant(options(), &storage(), &format!("a{{{patterns}}}"), 0));
    assert_eq!(lines, ["bad_data: a selector has more than 32 regular expressions"]);
}

#[test]
fn queries_that_would_explode_end_with_an_error() {
    for query in [
        "sum_over_time({__name__=~\".+\"}[292y:1ms])",
        "max_over_time(max_over_time(a[1y:1s])[1y:1s])",
        "absent_over_time(vector(time())[100y:1ms])",
    ] {
        let lines = show(instant(options(), &storage(), query, 0));
        assert!(lines[0].starts_with("execution: query processing would load too many samples"), "{lines:?}");
    }
}
