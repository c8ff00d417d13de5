//! Binary operators on floats, and those between a scalar and a vector.

use crate::QueryError;
use crate::ast::{Binary, BinaryOp};
use crate::eval::{ABSENT, Evaluated, Evaluator, Grid, Series, is_absent};

impl BinaryOp {
    /// The value of an arithmetic operator; comparisons give 0 or 1.
    #[inline]
    pub(super) fn apply(self, l: f64, r: f64) -> f64 {
        match self {
            Self::Add => l + r,
            Self::Sub => l - r,
            Self::Mul => l * r,
            Self::Div => l / r,
            Self::Mod => l % r,
            Self::Pow => l.powf(r),
            Self::Atan2 => l.atan2(r),
            Self::Eq => f64::from(u8::from(l == r)),
            Self::Ne => f64::from(u8::from(l != r)),
            Self::Gt => f64::from(u8::from(l > r)),
            Self::Lt => f64::from(u8::from(l < r)),
            Self::Ge => f64::from(u8::from(l >= r)),
            Self::Le => f64::from(u8::from(l <= r)),
            Self::And | Self::Or | Self::Unless => f64::NAN,
        }
    }
}

/// One cell of `l op r`; a comparison without `bool` keeps a value or leaves a gap.
#[derive(Clone, Copy)]
pub(super) struct CellOp {
    pub(super) op: BinaryOp,
    /// A comparison that filters: the value of the vector (of the left one of two) stays.
    pub(super) filters: bool,
}

impl CellOp {
    pub(super) fn new(b: &Binary) -> Self {
        Self { op: b.op, filters: b.op.is_comparison() && !b.return_bool }
    }

    /// `kept` is the value that survives a comparison.
    #[inline]
    pub(super) fn apply(self, l: f64, r: f64, kept: f64) -> f64 {
        let value = self.op.apply(l, r);
        if !self.filters {
            value
        } else if value == 1.0 {
            kept
        } else {
            ABSENT
        }
    }
}

impl Evaluator<'_> {
    pub(super) fn eval_binary(&mut self, b: &Binary, grid: &Grid) -> Result<Evaluated, QueryError> {
        let lhs = self.eval(&b.lhs, grid)?;
        let rhs = self.eval(&b.rhs, grid)?;
        match (lhs, rhs) {
            (Evaluated::Scalar(mut l), Evaluated::Scalar(r)) => {
                l.iter_mut().zip(&r).for_each(|(l, r)| *l = b.op.apply(*l, *r));
                Ok(Evaluated::Scalar(l))
            }
            (Evaluated::Vector(l), Evaluated::Scalar(r)) => {
                self.vector_scalar(b, l, &r, |v, s| (v, s)).map(Evaluated::Vector)
            }
            (Evaluated::Scalar(l), Evaluated::Vector(r)) => {
                self.vector_scalar(b, r, &l, |v, s| (s, v)).map(Evaluated::Vector)
            }
            (Evaluated::Vector(l), Evaluated::Vector(r)) => {
                let result = if b.op.is_set() {
                    self.set_operator(b, l, r, grid)?
                } else {
                    self.vector_vector(b, l, r, grid)?
                };
                Ok(Evaluated::Vector(result))
            }
            _ => Err(QueryError::execution("operator on a string")),
        }
    }

    /// `order` puts vector and scalar on their sides of the operator.
    fn vector_scalar(
        &mut self,
        b: &Binary,
        mut vector: Vec<Series>,
        scalar: &[f64],
        order: impl Fn(f64, f64) -> (f64, f64),
    ) -> Result<Vec<Series>, QueryError> {
        let cell = CellOp::new(b);
        for series in &mut vector {
            for (v, s) in series.values.iter_mut().zip(scalar) {
                if !is_absent(*v) {
                    let (l, r) = order(*v, *s);
                    *v = cell.apply(l, r, *v);
                }
            }
        }
        if cell.filters {
            vector.retain(|s| !s.is_empty());
            return Ok(vector);
        }
        self.drop_names(vector)
    }
}
