//! The functions of PromQL as plain functions over plain columns; `eval::call` evaluates their arguments.

pub(crate) mod absent;
pub(crate) mod date;
pub(crate) mod histogram;
pub(crate) mod label;
pub(crate) mod math;
pub(crate) mod over_time;
pub(crate) mod rate;
pub(crate) mod regression;
pub(crate) mod segments;
pub(crate) mod sort;
pub(crate) mod window;

use crate::QueryError;
use crate::ast::{DatePart, Expr, Func, MathFn, Type, WindowFn};

/// The function of a name.
pub(crate) fn lookup(name: &str) -> Option<Func> {
    lookup_math(name)
        .map(Func::Math)
        .or_else(|| lookup_window(name).map(Func::Window))
        .or_else(|| lookup_date(name).map(Func::Date))
        .or_else(|| lookup_other(name))
}

fn lookup_math(name: &str) -> Option<MathFn> {
    Some(match name {
        "abs" => MathFn::Abs,
        "ceil" => MathFn::Ceil,
        "floor" => MathFn::Floor,
        "exp" => MathFn::Exp,
        "sqrt" => MathFn::Sqrt,
        "ln" => MathFn::Ln,
        "log2" => MathFn::Log2,
        "log10" => MathFn::Log10,
        "sin" => MathFn::Sin,
        "cos" => MathFn::Cos,
        "tan" => MathFn::Tan,
        "asin" => MathFn::Asin,
        "acos" => MathFn::Acos,
        "atan" => MathFn::Atan,
        "sinh" => MathFn::Sinh,
        "cosh" => MathFn::Cosh,
        "tanh" => MathFn::Tanh,
        "asinh" => MathFn::Asinh,
        "acosh" => MathFn::Acosh,
        "atanh" => MathFn::Atanh,
        "deg" => MathFn::Deg,
        "rad" => MathFn::Rad,
        "sgn" => MathFn::Sgn,
        _ => return None,
    })
}

fn lookup_window(name: &str) -> Option<WindowFn> {
    Some(match name {
        "rate" => WindowFn::Rate,
        "increase" => WindowFn::Increase,
        "delta" => WindowFn::Delta,
        "irate" => WindowFn::Irate,
        "idelta" => WindowFn::Idelta,
        "changes" => WindowFn::Changes,
        "resets" => WindowFn::Resets,
        "deriv" => WindowFn::Deriv,
        "predict_linear" => WindowFn::PredictLinear,
        "double_exponential_smoothing" => WindowFn::DoubleExponentialSmoothing,
        "avg_over_time" => WindowFn::AvgOverTime,
        "sum_over_time" => WindowFn::SumOverTime,
        "count_over_time" => WindowFn::CountOverTime,
        "min_over_time" => WindowFn::MinOverTime,
        "max_over_time" => WindowFn::MaxOverTime,
        "last_over_time" => WindowFn::LastOverTime,
        "first_over_time" => WindowFn::FirstOverTime,
        "present_over_time" => WindowFn::PresentOverTime,
        "stddev_over_time" => WindowFn::StddevOverTime,
        "stdvar_over_time" => WindowFn::StdvarOverTime,
        "quantile_over_time" => WindowFn::QuantileOverTime,
        "mad_over_time" => WindowFn::MadOverTime,
        "ts_of_min_over_time" => WindowFn::TsOfMinOverTime,
        "ts_of_max_over_time" => WindowFn::TsOfMaxOverTime,
        "ts_of_first_over_time" => WindowFn::TsOfFirstOverTime,
        "ts_of_last_over_time" => WindowFn::TsOfLastOverTime,
        _ => return None,
    })
}

fn lookup_date(name: &str) -> Option<DatePart> {
    Some(match name {
        "minute" => DatePart::Minute,
        "hour" => DatePart::Hour,
        "day_of_week" => DatePart::DayOfWeek,
        "day_of_month" => DatePart::DayOfMonth,
        "day_of_year" => DatePart::DayOfYear,
        "days_in_month" => DatePart::DaysInMonth,
        "month" => DatePart::Month,
        "year" => DatePart::Year,
        _ => return None,
    })
}

fn lookup_other(name: &str) -> Option<Func> {
    Some(match name {
        "clamp" => Func::Clamp,
        "clamp_min" => Func::ClampMin,
        "clamp_max" => Func::ClampMax,
        "round" => Func::Round,
        "absent" => Func::Absent,
        "absent_over_time" => Func::AbsentOverTime,
        "scalar" => Func::Scalar,
        "vector" => Func::Vector,
        "time" => Func::Time,
        "timestamp" => Func::Timestamp,
        "pi" => Func::Pi,
        "start" => Func::QueryStart,
        "end" => Func::QueryEnd,
        "step" => Func::QueryStep,
        "range" => Func::QueryRange,
        "max_of" => Func::MaxOf,
        "min_of" => Func::MinOf,
        "label_replace" => Func::LabelReplace,
        "label_join" => Func::LabelJoin,
        "sort" => Func::Sort { descending: false },
        "sort_desc" => Func::Sort { descending: true },
        "sort_by_label" => Func::SortByLabel { descending: false },
        "sort_by_label_desc" => Func::SortByLabel { descending: true },
        "histogram_quantile" => Func::HistogramQuantile,
        "histogram_quantiles" => Func::HistogramQuantiles,
        "histogram_fraction" => Func::HistogramFraction,
        "histogram_avg" | "histogram_count" | "histogram_sum" | "histogram_stddev" | "histogram_stdvar" => {
            Func::NativeHistogram
        }
        _ => return None,
    })
}

/// Checks the types and the number of arguments. The grammar crate does so too, with exceptions for constants in
/// some mathematical functions; the evaluator relies on this check alone.
pub(crate) fn check_arguments(func: Func, name: &str, args: &[Expr]) -> Result<(), QueryError> {
    use Type::{Matrix, Scalar, Text, Vector};
    // Required types, optional types, and whether the last one may repeat.
    let (required, optional, repeats): (&[Type], &[Type], bool) = match func {
        Func::Window(WindowFn::PredictLinear) => (&[Matrix, Scalar], &[], false),
        Func::Window(WindowFn::DoubleExponentialSmoothing) => (&[Matrix, Scalar, Scalar], &[], false),
        Func::Window(WindowFn::QuantileOverTime) => (&[Scalar, Matrix], &[], false),
        Func::Window(_) | Func::AbsentOverTime => (&[Matrix], &[], false),
        Func::Math(_) | Func::Absent | Func::Scalar | Func::Timestamp | Func::Sort { .. } => {
            (&[Vector], &[], false)
        }
        Func::NativeHistogram => (&[Vector], &[], false),
        Func::Date(_) => (&[], &[Vector], false),
        Func::Clamp => (&[Vector, Scalar, Scalar], &[], false),
        Func::ClampMin | Func::ClampMax => (&[Vector, Scalar], &[], false),
        Func::Round => (&[Vector], &[Scalar], false),
        Func::Vector => (&[Scalar], &[], false),
        Func::Time | Func::Pi | Func::QueryStart | Func::QueryEnd | Func::QueryStep | Func::QueryRange => {
            (&[], &[], false)
        }
        Func::MaxOf | Func::MinOf => (&[Scalar, Scalar], &[], false),
        Func::LabelReplace => (&[Vector, Text, Text, Text, Text], &[], false),
        Func::LabelJoin => (&[Vector, Text, Text], &[Text], true),
        Func::SortByLabel { .. } => (&[Vector], &[Text], true),
        Func::HistogramQuantile => (&[Scalar, Vector], &[], false),
        Func::HistogramFraction => (&[Scalar, Scalar, Vector], &[], false),
        Func::HistogramQuantiles => (&[Vector, Text, Scalar], &[Scalar], true),
    };
    if args.len() < required.len() || (!repeats && args.len() > required.len() + optional.len()) {
        let expected = required.len();
        let message = format!("expected {expected} argument(s) in call to \"{name}\", got {}", args.len());
        return Err(QueryError::BadData(message));
    }
    for (i, arg) in args.iter().enumerate() {
        let expected = required.get(i).or(optional.first()).copied().unwrap_or(Scalar);
        if arg.value_type() != expected {
            return Err(QueryError::BadData(format!(
                "expected type {} in call to function \"{name}\", got {}",
                type_name(expected),
                type_name(arg.value_type())
            )));
        }
    }
    Ok(())
}

fn type_name(t: Type) -> &'static str {
    match t {
        Type::Scalar => "scalar",
        Type::Text => "string",
        Type::Vector => "instant vector",
        Type::Matrix => "range vector",
    }
}

/// Label names may be any UTF-8 text that is not empty.
pub(crate) fn is_valid_label_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| u32::from(c) < crate::format::RAW_BYTE_BASE)
}
