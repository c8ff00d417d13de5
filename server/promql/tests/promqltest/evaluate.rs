//! Runs the commands of a script: each evaluation as it is written, and, as upstream does, once more as a range
//! query around the instant and with every selector pinned to the instant by `@`.

use promql_parser::parser::{self as pp, AtModifier};
use siaga_promql::{Answer, Engine, EngineOptions, MatrixSeries, QueryError, Value, VectorSample};

use super::compare;
use super::script::{Command, Eval, Expect, Text, Time};
use super::store::Store;

pub(crate) enum Outcome {
    Passed,
    Failed(String),
    Unsupported(String),
}

pub(crate) struct Runner {
    engine: Engine,
    store: Store,
}

impl Runner {
    /// Upstream's test scripts assume that names are removed late; a stock server removes them at once.
    pub(crate) fn new(delayed_name_removal: bool) -> Self {
        let options = EngineOptions { delayed_name_removal, ..EngineOptions::default() };
        Self { engine: Engine::new(options), store: Store::default() }
    }

    /// Line and outcome of what the command tested.
    pub(crate) fn run(&mut self, command: &Command) -> Option<(usize, Outcome)> {
        match command {
            Command::Clear => self.store = Store::default(),
            Command::Load(load) => {
                if let Err(why) = self.store.load(load) {
                    return Some((load.line, Outcome::Failed(format!("load: {why}"))));
                }
            }
            Command::Eval(eval) => return Some((eval.line, self.evaluate(eval))),
            Command::Broken { line, why } => return Some((*line, Outcome::Failed(why.clone()))),
        }
        None
    }

    fn evaluate(&self, eval: &Eval) -> Outcome {
        if let Some(why) = unsupported_syntax(&eval.query) {
            return Outcome::Unsupported(why.to_owned());
        }
        if eval.expect.lines.iter().any(|l| l.contains("{{")) {
            return Outcome::Unsupported("expects native histograms".to_owned());
        }
        self.store.take_obstacle();
        let result = match eval.time {
            Time::Instant(at) => self.instant(eval, at),
            Time::Range { start, end, step } => self.range(eval, start, end, step),
        };
        if let Some(obstacle) = self.store.take_obstacle() {
            return Outcome::Unsupported(obstacle.to_owned());
        }
        match result {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(format!("{}: {why}", eval.query)),
        }
    }

    fn ask_instant(&self, query: &str, at: i64) -> Result<Answer, QueryError> {
        self.engine.instant(&self.store, &self.engine.parse(query)?, at)
    }

    fn instant(&self, eval: &Eval, at: i64) -> Result<(), String> {
        let expect = &eval.expect;
        let answer = self.ask_instant(&eval.query, at);
        let Some(answer) = check_failure(answer, expect)? else { return Ok(()) };
        check_notes(&answer, expect)?;
        if let Some(text) = &expect.string {
            return match &answer.value {
                Value::String { value, .. } if value == text => Ok(()),
                other => Err(format!("expected string {text:?}, got {other:?}")),
            };
        }
        if let Value::Matrix(series) = &answer.value {
            let (start, step) = expect.range_vector.unwrap_or_default();
            return compare::check_matrix(&compare::parse_range(expect, start, step)?, series);
        }
        let expected = compare::parse_instant(expect)?;
        compare::check_instant(&expected, &answer.value, expect.ordered)?;
        for (query, at) in pinned(&eval.query, at) {
            let answer = self.ask_instant(&query, at).map_err(|e| format!("with @ at {at}: {query}: {e}"))?;
            compare::check_instant(&expected, &answer.value, expect.ordered)
                .map_err(|e| format!("with @ at {at}: {query}: {e}"))?;
        }
        if !expect.ordered {
            self.instant_as_range(&eval.query, at, &expected).map_err(|e| format!("as range: {e}"))?;
        }
        Ok(())
    }

    /// The middle of a range of three steps must say what the instant query says.
    fn instant_as_range(&self, query: &str, at: i64, expected: &compare::Expected) -> Result<(), String> {
        const MINUTE: i64 = 60_000;
        let query = self.engine.parse(query).map_err(|e| e.to_string())?;
        // step() and range() rightly differ.
        if ["step()", "range()", "start()", "end()"].iter().any(|f| query.text().contains(f)) {
            return Ok(());
        }
        let answer = self
            .engine
            .range(&self.store, &query, at - MINUTE, at + MINUTE, MINUTE)
            .map_err(|e| e.to_string())?;
        let Value::Matrix(series) = answer.value else { return Err("no matrix".to_owned()) };
        let middle = |s: MatrixSeries| {
            let value = s.points.iter().find(|p| p.0 == at)?.1;
            Some(VectorSample::of_float(s.labels, at, value))
        };
        let samples: Vec<VectorSample> = series.into_iter().filter_map(middle).collect();
        match (expected, samples.as_slice()) {
            (compare::Expected::Vector(e), samples) => compare::check_vector(e, samples, false),
            (compare::Expected::Scalar(_), [one]) => {
                let value = Value::Scalar { t_ms: at, value: compare::float(one) };
                compare::check_instant(expected, &value, false)
            }
            _ => Err(format!("expected one series, got {samples:?}")),
        }
    }

    fn range(&self, eval: &Eval, start: i64, end: i64, step: i64) -> Result<(), String> {
        let expect = &eval.expect;
        let answer =
            self.engine.parse(&eval.query).and_then(|q| self.engine.range(&self.store, &q, start, end, step));
        let Some(answer) = check_failure(answer, expect)? else { return Ok(()) };
        check_notes(&answer, expect)?;
        let Value::Matrix(series) = &answer.value else { return Err("no matrix".to_owned()) };
        compare::check_matrix(&compare::parse_range(expect, start, step)?, series)
    }
}

/// `None` if the query failed as it should.
fn check_failure(answer: Result<Answer, QueryError>, expect: &Expect) -> Result<Option<Answer>, String> {
    match (answer, &expect.fail) {
        (Ok(answer), None) => Ok(Some(answer)),
        (Ok(answer), Some(_)) => Err(format!("expected a failure, got {:?}", answer.value)),
        (Err(e), Some(text)) if text.accepts(&e.to_string()) => Ok(None),
        (Err(e), Some(text)) => Err(format!("expected failure {:?}, got {e}", text.describe())),
        (Err(e), None) => Err(e.to_string()),
    }
}

fn check_notes(answer: &Answer, expect: &Expect) -> Result<(), String> {
    let check = |expected: &[Text], none: bool, notes: &[String], level: &str| {
        if none && !notes.is_empty() {
            return Err(format!("unexpected {level}: {notes:?}"));
        }
        match expected.iter().find(|e| !notes.iter().any(|n| e.accepts(n))) {
            Some(missing) => Err(format!("missing {level} {:?}, got {notes:?}", missing.describe())),
            None => Ok(()),
        }
    };
    check(&expect.warn, expect.no_warn, &answer.warnings, "warning")?;
    check(&expect.info, expect.no_info, &answer.infos, "info")
}

/// Syntax behind feature flags that the grammar crate does not know.
fn unsupported_syntax(query: &str) -> Option<&'static str> {
    if query.contains("anchored") || query.contains("smoothed") {
        Some("anchored and smoothed selectors (experimental)")
    } else if query.contains("info(") {
        Some("info() (experimental)")
    } else if query.contains("start_timestamp(") {
        Some("start_timestamp() (experimental)")
    } else if query.contains("</") || query.contains(">/") {
        Some("trimming of native histograms")
    } else if has_duration_arithmetic(query) {
        Some("arithmetic in durations (experimental)")
    } else {
        None
    }
}

fn has_duration_arithmetic(query: &str) -> bool {
    // What the grammar crate takes is no arithmetic; what it refuses is, if a bracket or offset computes.
    if pp::parse(query).is_ok() {
        return false;
    }
    let computes = |s: &str| s.contains(['+', '-', '*', '/', '%', '^', '(']);
    let in_brackets = query.split('[').skip(1).any(|s| computes(s.split(']').next().unwrap_or(s)));
    let in_offset = query.split("offset").skip(1).any(computes);
    in_brackets || in_offset
}

/// The query with every selector pinned to the instant, and other instants at which it must say the same.
fn pinned(query: &str, at: i64) -> Vec<(String, i64)> {
    let Ok(mut expr) = pp::parse(query) else { return Vec::new() };
    if !pin(&mut expr, at as f64 / 1000.0) {
        return Vec::new();
    }
    let text = expr.to_string();
    // The crate's printer is not exact for everything (strings, negative times).
    if pp::parse(&text).ok() != Some(expr) {
        return Vec::new();
    }
    let times = if at == 0 { vec![-1_000, 1_000] } else { vec![-10 * at, 0, at / 5, at, 10 * at] };
    times.into_iter().map(|t| (text.clone(), t)).collect()
}

/// False if the expression depends on the time of evaluation in some other way.
fn pin(expr: &mut pp::Expr, seconds: f64) -> bool {
    let at = || AtModifier::try_from(seconds).ok();
    match expr {
        pp::Expr::VectorSelector(s) => s.at = s.at.take().or_else(at),
        pp::Expr::MatrixSelector(m) => m.vs.at = m.vs.at.take().or_else(at),
        // Selectors inside of a subquery follow its own steps.
        pp::Expr::Subquery(s) => {
            s.at = s.at.take().or_else(at);
            return !is_unsafe(&s.expr);
        }
        pp::Expr::Aggregate(a) => {
            return a.param.as_mut().is_none_or(|p| pin(p, seconds)) && pin(&mut a.expr, seconds);
        }
        pp::Expr::Unary(u) => return pin(&mut u.expr, seconds),
        pp::Expr::Binary(b) => return pin(&mut b.lhs, seconds) && pin(&mut b.rhs, seconds),
        pp::Expr::Paren(p) => return pin(&mut p.expr, seconds),
        pp::Expr::Call(c) => {
            return !is_time_function(c.func.name) && c.args.args.iter_mut().all(|a| pin(a, seconds));
        }
        _ => {}
    }
    true
}

fn is_unsafe(expr: &pp::Expr) -> bool {
    !pin(&mut expr.clone(), 0.0)
}

fn is_time_function(name: &str) -> bool {
    matches!(
        name,
        "days_in_month"
            | "day_of_month"
            | "day_of_week"
            | "day_of_year"
            | "hour"
            | "minute"
            | "month"
            | "year"
            | "predict_linear"
            | "time"
            | "timestamp"
            | "start"
            | "end"
            | "step"
            | "range"
    )
}
