//! Behaviour that Prometheus' own scripts do not fix: a stock server's rules for names, Prometheus 2's closed
//! ranges, limits and their errors, notes, and the windows the storage is asked for.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use common::{MINUTE, Memory, instant, show};
use siaga_promql::{Engine, EngineOptions, MemoryPool, QueryError, Value};

fn two_metrics() -> Memory {
    Memory::every_minute(&[
        (&[("__name__", "a_total"), ("x", "1")], &[0.0, 60.0, 120.0, 180.0]),
        (&[("__name__", "b_total"), ("x", "1")], &[0.0, 30.0, 60.0, 90.0]),
        (&[("__name__", "gauge"), ("x", "2")], &[5.0, 4.0, 3.0, 2.0]),
    ])
}

fn stock(query: &str) -> Vec<String> {
    show(instant(EngineOptions::default(), &two_metrics(), query, 3 * MINUTE))
}

fn delayed(query: &str) -> Vec<String> {
    let options = EngineOptions { delayed_name_removal: true, ..EngineOptions::default() };
    show(instant(options, &two_metrics(), query, 3 * MINUTE))
}

#[test]
fn a_stock_server_drops_names_at_once_and_a_delayed_one_at_the_end() {
    let same = ["execution: vector cannot contain metrics with the same labelset"];
    assert_eq!(stock("a_total + 1"), ["{x=\"1\"} 181"]);
    assert_eq!(stock("-{x=\"1\"}"), same);
    assert_eq!(delayed("-{x=\"1\"}"), same);
    // The removed name is gone for a stock server, and still there to group by with delayed removal.
    assert_eq!(stock("sum by (__name__) (abs(a_total))"), ["{} 180"]);
    assert_eq!(delayed("count(count by (__name__) (abs({x=\"1\"})))"), ["{} 2"]);
    let replaced = "label_replace(abs(a_total), \"n\", \"$1\", \"__name__\", \"(.*)_total\")";
    assert_eq!(stock(replaced), ["{x=\"1\"} 180"]);
    assert_eq!(delayed(replaced), ["{n=\"a\", x=\"1\"} 180"]);
}

#[test]
fn names_survive_filters_sets_and_selections() {
    assert_eq!(stock("a_total > 100"), ["a_total{x=\"1\"} 180"]);
    assert_eq!(stock("100 < a_total"), ["a_total{x=\"1\"} 180"]);
    assert_eq!(stock("a_total > bool 100"), ["{x=\"1\"} 1"]);
    assert_eq!(stock("a_total and on() gauge"), ["a_total{x=\"1\"} 180"]);
    assert_eq!(stock("topk(1, {x=\"1\"})"), ["a_total{x=\"1\"} 180"]);
    assert_eq!(stock("last_over_time(gauge[2m])"), ["gauge{x=\"2\"} 2"]);
    assert_eq!(stock("max_over_time(gauge[2m])"), ["{x=\"2\"} 3"]);
}

#[test]
fn ranges_are_open_on_the_left_unless_told_to_be_prometheus_2() {
    let closed = EngineOptions { prometheus2_closed_ranges: true, ..EngineOptions::default() };
    let count = |options: EngineOptions, query: &str, at| show(instant(options, &two_metrics(), query, at));
    let open = EngineOptions::default;
    assert_eq!(count(open(), "count_over_time(gauge[2m])", 3 * MINUTE), ["{x=\"2\"} 2"]);
    assert_eq!(count(closed.clone(), "count_over_time(gauge[2m])", 3 * MINUTE), ["{x=\"2\"} 3"]);
    assert_eq!(count(open(), "gauge", 8 * MINUTE), [""; 0]);
    assert_eq!(count(closed.clone(), "gauge", 8 * MINUTE), ["gauge{x=\"2\"} 2"]);
    assert_eq!(count(open(), "count_over_time(gauge[2m:1m])", 3 * MINUTE), ["{x=\"2\"} 2"]);
    assert_eq!(count(closed, "count_over_time(gauge[2m:1m])", 3 * MINUTE), ["{x=\"2\"} 3"]);
}

#[test]
fn the_window_asked_of_the_storage_suffices_for_shifted_selectors() {
    // The test's storage gives nothing outside of the window that it is asked for.
    assert_eq!(stock("gauge @ 60"), ["gauge{x=\"2\"} 4"]);
    assert_eq!(stock("gauge offset 2m"), ["gauge{x=\"2\"} 4"]);
    assert_eq!(stock("gauge @ 0 offset -1m"), ["gauge{x=\"2\"} 4"]);
    assert_eq!(stock("sum_over_time(gauge[2m] @ end() offset 1m)"), ["{x=\"2\"} 7"]);
    assert_eq!(stock("sum_over_time((gauge offset 1m)[2m:1m])"), ["{x=\"2\"} 7"]);
}

#[test]
fn vector_matching_errors_name_the_series() {
    assert_eq!(
        stock("gauge + on() {x=\"1\"}"),
        [
            "execution: found duplicate series for the match group {} on the right hand-side of the operation: \
          [{__name__=\"a_total\", x=\"1\"}, {__name__=\"b_total\", x=\"1\"}];many-to-many matching not allowed: \
          matching labels must be unique on one side"
        ]
    );
    assert_eq!(
        stock("{x=\"1\"} + on() gauge"),
        [
            "execution: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
        ]
    );
    assert_eq!(
        stock("{x=\"1\"} * on() group_left gauge"),
        ["execution: multiple matches for labels: grouping labels must ensure unique matches"]
    );
}

#[test]
fn limits_end_a_query_with_prometheus_wording() {
    let engine = Engine::new(EngineOptions::default());
    let storage = two_metrics();
    let query = engine.parse("gauge").unwrap();
    let error = |result: Result<siaga_promql::Answer, QueryError>| show(result).remove(0);
    assert_eq!(
        error(engine.range(&storage, &query, 0, 11_001, 1)),
        "bad_data: exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query \
         resolution (?step=XX)"
    );
    assert!(engine.range(&storage, &query, 0, 11_000, 1).is_ok());
    assert!(error(engine.range(&storage, &query, 0, 1, 0)).starts_with("bad_data: zero or negative"));
    assert!(error(engine.range(&storage, &query, 1, 0, 1)).starts_with("bad_data: end timestamp"));
    let too_many = "execution: query processing would load too many samples into memory in query execution";
    for query in ["sum_over_time(vector(1)[10y:1ms])", "sum_over_time(gauge[10y:1ms])", "gauge + gauge"] {
        let options = EngineOptions { max_samples: 3, ..EngineOptions::default() };
        assert_eq!(error(instant(options, &storage, query, 3 * MINUTE)), too_many, "{query}");
    }
    let options = EngineOptions { max_series: 1, ..EngineOptions::default() };
    assert_eq!(
        error(instant(options, &storage, "{x=~\".+\"}", 3 * MINUTE)),
        "execution: the query selects more than 1 series"
    );
}

#[test]
fn the_end_of_a_query_is_the_one_that_was_asked_for_not_the_last_step() {
    let engine = Engine::new(EngineOptions::default());
    let query = engine.parse("gauge @ end()").unwrap();
    let answer = show(engine.range(&two_metrics(), &query, 0, 3 * MINUTE, 2 * MINUTE));
    assert_eq!(answer, ["gauge{x=\"2\"} 2@0 2@120000"]);
}

#[test]
fn memory_is_shared_between_queries_and_given_back() {
    let pool = Arc::new(MemoryPool::new(1 << 20));
    let options = EngineOptions { memory: Some(Arc::clone(&pool)), ..EngineOptions::default() };
    let storage = two_metrics();
    let answer = show(instant(options.clone(), &storage, "sum_over_time(vector(1)[1d:1s])", 3 * MINUTE));
    assert_eq!(
        answer,
        [
            "execution: query processing would use too much memory: all running queries together may hold 1048576 bytes"
        ]
    );
    assert_eq!(pool.free(), pool.limit());
    assert_eq!(show(instant(options, &storage, "gauge", 3 * MINUTE)), ["gauge{x=\"2\"} 2"]);
}

#[test]
fn the_points_of_an_answer_are_bounded() {
    let engine = Engine::new(EngineOptions { max_answer_points: 5, ..EngineOptions::default() });
    let query = engine.parse("{x=~\".+\"}").unwrap();
    let answer = show(engine.range(&two_metrics(), &query, 0, 2 * MINUTE, MINUTE));
    assert_eq!(
        answer,
        ["execution: the answer would have more than 5 points. Try fewer series or a larger step"]
    );
}

#[test]
fn timeouts_and_cancellation_are_told_apart() {
    let storage = two_metrics();
    let options = EngineOptions { timeout: Duration::ZERO, ..EngineOptions::default() };
    assert_eq!(
        show(instant(options, &storage, "gauge", MINUTE)),
        ["timeout: query timed out in expression evaluation"]
    );
    let engine = Engine::new(EngineOptions::default());
    let query = engine.parse("gauge").unwrap();
    let cancel = Some(Arc::new(AtomicBool::new(true)));
    let error = engine.instant_cancelable(&storage, &query, MINUTE, cancel).unwrap_err();
    assert_eq!(error.kind(), "canceled");
}

#[test]
fn notes_carry_their_place_in_the_query() {
    let notes = |query: &str| {
        let answer = instant(EngineOptions::default(), &two_metrics(), query, 3 * MINUTE).unwrap();
        (answer.warnings, answer.infos)
    };
    let (warnings, infos) = notes("rate(gauge[3m])");
    assert!(warnings.is_empty());
    assert_eq!(
        infos,
        ["PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \
          \"gauge\" (1:6)"]
    );
    let (warnings, _) = notes("1 +\n  quantile(1.5, gauge)");
    assert_eq!(warnings, ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (2:12)"]);
    let (warnings, _) = notes("histogram_quantile(0.5, sum(gauge))");
    assert_eq!(
        warnings,
        ["PromQL warning: bucket label \"le\" is missing or has a malformed value of \"\" (1:25)"]
    );
}

#[test]
fn a_range_query_answers_scalars_as_one_series_and_sorts_by_labels() {
    let engine = Engine::new(EngineOptions::default());
    let storage = two_metrics();
    let range = |text: &str| engine.range(&storage, &engine.parse(text).unwrap(), 0, 2 * MINUTE, MINUTE);
    assert_eq!(show(range("time()")), ["{} 0@0 60@60000 120@120000"]);
    let Value::Matrix(series) = range("sort_desc({x=~\".\"})").unwrap().value else { panic!("no matrix") };
    assert!(series.windows(2).all(|w| w[0].labels < w[1].labels));
    assert_eq!(show(range("gauge[1m]"))[0].split(':').next(), Some("bad_data"));
}

#[test]
fn a_query_can_be_parsed_once_and_shared() {
    fn shared<T: Clone + Send + Sync>(_: &T) {}
    let engine = Engine::new(EngineOptions::default());
    let query = engine.parse("sum(rate(a_total[5m]))by(x)").unwrap();
    shared(&query);
    assert_eq!(query.formatted(), "sum by (x) (rate(a_total[5m]))");
    assert_eq!(query.text(), "sum(rate(a_total[5m]))by(x)");
    // What the printer would change in meaning stays as it is.
    assert_eq!(engine.parse(" a @ -100").unwrap().formatted(), "a @ -100");
}
