//! Functions of one float, with Go's conventions for NaN and signed zero.

use crate::ast::MathFn;
use crate::eval::Series;

/// Applies a function to all values of a series.
pub(crate) fn apply(f: MathFn, s: &mut Series) {
    match f {
        MathFn::Abs => s.map(f64::abs),
        MathFn::Ceil => s.map(f64::ceil),
        MathFn::Floor => s.map(f64::floor),
        MathFn::Exp => s.map(f64::exp),
        MathFn::Sqrt => s.map(f64::sqrt),
        MathFn::Ln => s.map(f64::ln),
        MathFn::Log2 => s.map(f64::log2),
        MathFn::Log10 => s.map(f64::log10),
        MathFn::Sin => s.map(f64::sin),
        MathFn::Cos => s.map(f64::cos),
        MathFn::Tan => s.map(f64::tan),
        MathFn::Asin => s.map(f64::asin),
        MathFn::Acos => s.map(f64::acos),
        MathFn::Atan => s.map(f64::atan),
        MathFn::Sinh => s.map(f64::sinh),
        MathFn::Cosh => s.map(f64::cosh),
        MathFn::Tanh => s.map(f64::tanh),
        MathFn::Asinh => s.map(f64::asinh),
        MathFn::Acosh => s.map(f64::acosh),
        MathFn::Atanh => s.map(f64::atanh),
        MathFn::Deg => s.map(|v| v * 180.0 / std::f64::consts::PI),
        MathFn::Rad => s.map(|v| v * std::f64::consts::PI / 180.0),
        MathFn::Sgn => s.map(sign),
    }
}

fn sign(v: f64) -> f64 {
    if v < 0.0 {
        -1.0
    } else if v > 0.0 {
        1.0
    } else {
        v
    }
}

/// Rounds half up to a multiple of `to`. Multiplying by the inverse keeps results like 0.3 clean.
pub(crate) fn round(v: f64, to: f64) -> f64 {
    let inverse = 1.0 / to;
    (v * inverse + 0.5).floor() / inverse
}

/// The larger value; NaN if either is NaN, but infinity wins over everything.
pub(crate) fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// The smaller value; NaN if either is NaN, but negative infinity wins over everything.
pub(crate) fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}
