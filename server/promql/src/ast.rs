//! The expression tree the evaluator works on: names resolved, times in milliseconds, types checked.

use std::sync::Arc;

use crate::Matcher;

/// One node.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    /// Byte offset in the query's text, where it is known; notes point to it.
    pub(crate) pos: Option<u32>,
    /// True if the value is the same at every step (everything below is pinned by `@` or constant).
    pub(crate) invariant: bool,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Number(f64),
    Text(Arc<str>),
    Selector(Selector),
    Range { selector: Selector, range_ms: i64 },
    Subquery(Box<Subquery>),
    Call { func: Func, name: &'static str, args: Vec<Expr> },
    Aggregate(Box<Aggregate>),
    Negate(Box<Expr>),
    Paren(Box<Expr>),
    Binary(Box<Binary>),
}

/// What an expression yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Text,
    Vector,
    Matrix,
}

#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) matchers: Arc<[Matcher]>,
    pub(crate) shift: TimeShift,
}

/// `@` and `offset`; the offset counts from the instant that `@` pins.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TimeShift {
    pub(crate) at: Option<At>,
    pub(crate) offset_ms: i64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    /// Start of the query.
    Start,
    /// End of the query.
    End,
    /// Milliseconds since 1970.
    Ms(i64),
}

#[derive(Debug, Clone)]
pub(crate) struct Subquery {
    pub(crate) expr: Expr,
    pub(crate) range_ms: i64,
    pub(crate) step_ms: Option<i64>,
    pub(crate) shift: TimeShift,
}

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) grouping: Grouping,
    pub(crate) param: Option<Expr>,
    pub(crate) expr: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    CountValues,
    Quantile,
    LimitK,
    LimitRatio,
}

/// `by (…)` or `without (…)`; no clause is `by ()`.
#[derive(Debug, Clone)]
pub(crate) enum Grouping {
    By(Vec<Arc<str>>),
    Without(Vec<Arc<str>>),
}

#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Expr,
    pub(crate) rhs: Expr,
    pub(crate) return_bool: bool,
    pub(crate) matching: Matching,
}

/// How series of the two sides find each other.
#[derive(Debug, Clone)]
pub(crate) struct Matching {
    /// True for `on (labels)`, false for `ignoring (labels)`.
    pub(crate) on: bool,
    pub(crate) labels: Vec<Arc<str>>,
    pub(crate) card: Card,
    /// Labels copied from the "one" side.
    pub(crate) include: Vec<Arc<str>>,
    /// Values used for a missing partner on the left and right (`fill`).
    pub(crate) fill: (Option<f64>, Option<f64>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Card {
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    pub(crate) fn is_comparison(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Gt | Self::Lt | Self::Ge | Self::Le)
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// Functions by the shape of their evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Func {
    /// One float in, one float out.
    Math(MathFn),
    Clamp,
    ClampMin,
    ClampMax,
    Round,
    Date(DatePart),
    /// A window of samples in, one float out.
    Window(WindowFn),
    AbsentOverTime,
    Absent,
    Scalar,
    Vector,
    Time,
    Timestamp,
    Pi,
    QueryStart,
    QueryEnd,
    QueryStep,
    QueryRange,
    MaxOf,
    MinOf,
    LabelReplace,
    LabelJoin,
    Sort {
        descending: bool,
    },
    SortByLabel {
        descending: bool,
    },
    HistogramQuantile,
    HistogramQuantiles,
    HistogramFraction,
    /// Functions that only look at native histograms: nothing for floats.
    NativeHistogram,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MathFn {
    Abs,
    Ceil,
    Floor,
    Exp,
    Sqrt,
    Ln,
    Log2,
    Log10,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Deg,
    Rad,
    Sgn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatePart {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowFn {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Changes,
    Resets,
    Deriv,
    PredictLinear,
    DoubleExponentialSmoothing,
    AvgOverTime,
    SumOverTime,
    CountOverTime,
    MinOverTime,
    MaxOverTime,
    LastOverTime,
    FirstOverTime,
    PresentOverTime,
    StddevOverTime,
    StdvarOverTime,
    QuantileOverTime,
    MadOverTime,
    TsOfMinOverTime,
    TsOfMaxOverTime,
    TsOfFirstOverTime,
    TsOfLastOverTime,
}

impl WindowFn {
    /// True if the result is still a sample of the metric itself.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::LastOverTime | Self::FirstOverTime)
    }
}

impl Expr {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, pos: None, invariant: false }
    }

    /// The expression inside of any parentheses.
    pub(crate) fn bare(&self) -> &Self {
        let mut expr = self;
        while let Kind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    pub(crate) fn value_type(&self) -> Type {
        match &self.bare().kind {
            Kind::Number(_) => Type::Scalar,
            Kind::Text(_) => Type::Text,
            Kind::Selector(_) | Kind::Aggregate(_) => Type::Vector,
            Kind::Range { .. } | Kind::Subquery(_) => Type::Matrix,
            Kind::Call { func, .. } => func.value_type(),
            Kind::Negate(inner) => inner.value_type(),
            Kind::Paren(inner) => inner.value_type(),
            Kind::Binary(b) => {
                if b.lhs.value_type() == Type::Scalar && b.rhs.value_type() == Type::Scalar {
                    Type::Scalar
                } else {
                    Type::Vector
                }
            }
        }
    }
}

impl Func {
    pub(crate) fn value_type(self) -> Type {
        match self {
            Self::Scalar
            | Self::Time
            | Self::Pi
            | Self::QueryStart
            | Self::QueryEnd
            | Self::QueryStep
            | Self::QueryRange
            | Self::MaxOf
            | Self::MinOf => Type::Scalar,
            _ => Type::Vector,
        }
    }

    /// True if the result depends on the time of evaluation even when all arguments are pinned.
    pub(crate) fn depends_on_time(self) -> bool {
        matches!(self, Self::Time | Self::Timestamp | Self::Date(_) | Self::Window(WindowFn::PredictLinear))
    }
}
