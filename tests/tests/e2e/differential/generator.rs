//! Queries made by chance from a seed: what nobody thinks of writing.

use siaga_tests::sim::noise::mix;

/// A source of choices; the same seed makes the same queries.
struct Dice {
    state: u64,
    in_subquery: bool,
}

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.state = mix(self.state);
        usize::try_from(self.state >> 33).unwrap() % sides
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len())]
    }
}

const SELECTORS: &[&str] = &[
    "node_load1",
    "node_cpu_seconds_total{cpu=\"0\"}",
    "node_cpu_seconds_total{instance=~\"db.*\"}",
    "node_filesystem_used_bytes{mountpoint!=\"/var\"}",
    "node_network_receive_bytes_total",
    "node_temperature_celsius",
    "odd_values",
    "odd_values{kind=~\"s.*|flapping|ended\"}",
    "up",
    "http_request_duration_seconds_bucket{code=\"200\"}",
    "http_request_duration_seconds_count",
];
const MODIFIERS: &[&str] =
    &["", "", "", "", " offset 3m", " offset -7m", " @ end()", " @ start() offset 11m"];
const RANGES: &[&str] = &["1m", "4m", "10m", "1h"];
const WINDOW: &[&str] = &[
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "changes",
    "resets",
    "deriv",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "stddev_over_time",
    "present_over_time",
];
const MATH: &[&str] =
    &["abs", "ceil", "floor", "sqrt", "ln", "sgn", "round", "timestamp", "-", "exp", "atan", "hour", "sort"];
const AGGREGATES: &[&str] = &["sum", "avg", "min", "max", "count", "group", "stddev", "quantile"];
const GROUPINGS: &[&str] =
    &["", " by (instance)", " by (instance, mode, kind, le)", " without (instance)", " by (job, code)"];
const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", "^", ">", "<", "==", "!=", ">= bool", "< bool"];
const MATCHINGS: &[&str] = &["", "", "on(instance)", "ignoring(cpu, mode)", "on(instance, job)", "on(kind)"];
const SETS: &[&str] =
    &["and", "or", "unless", "and on(instance)", "unless on(instance)", "or on(instance, kind)"];
const SCALARS: &[&str] = &["0", "1", "-2.5", "1e6", "time()", "scalar(up{instance=\"db-01\"})", "0.5"];

fn vector(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 {
        return format!("{}{}", dice.pick(SELECTORS), dice.pick(MODIFIERS));
    }
    let below = depth - 1;
    match dice.roll(11) {
        0 | 1 => {
            let (function, selector) = (dice.pick(WINDOW), dice.pick(SELECTORS));
            format!("{function}({selector}[{}]{})", dice.pick(RANGES), dice.pick(MODIFIERS))
        }
        // Subqueries within subqueries would put their points on the edges of ranges, where 2 and 3 differ.
        2 if !dice.in_subquery => {
            dice.in_subquery = true;
            let (function, inner) = (dice.pick(WINDOW), vector(dice, below));
            dice.in_subquery = false;
            format!("{function}(({inner})[{}:{}])", dice.pick(RANGES), dice.pick(&["33s", "1m", ""]))
        }
        3 => format!("{}({})", dice.pick(MATH), vector(dice, below)),
        4 | 5 => {
            let (operation, grouping, inner) =
                (dice.pick(AGGREGATES), dice.pick(GROUPINGS), vector(dice, below));
            let parameter = if operation == "quantile" { "0.3, " } else { "" };
            format!("{operation}{grouping} ({parameter}{inner})")
        }
        6 => format!("({}) {} ({})", vector(dice, below), dice.pick(SETS), vector(dice, below)),
        7 => format!("({}) {} {}", vector(dice, below), dice.pick(OPERATORS), dice.pick(SCALARS)),
        8 => format!("{} {} ({})", dice.pick(SCALARS), dice.pick(OPERATORS), vector(dice, below)),
        9 => {
            let (left, right) = (vector(dice, below), vector(dice, below));
            format!("({left}) {} {} ({right})", dice.pick(OPERATORS), dice.pick(MATCHINGS))
        }
        _ => format!("clamp({}, {}, {})", vector(dice, below), dice.pick(SCALARS), dice.pick(SCALARS)),
    }
}

/// So many queries of a seed.
pub(super) fn queries(seed: u64, count: usize) -> Vec<String> {
    let mut dice = Dice { state: mix(seed), in_subquery: false };
    (0..count).map(|n| vector(&mut dice, 1 + n % 3)).collect()
}
