//! From text to the evaluator's tree: the grammar crate parses, this module resolves and checks what it leaves open.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use promql_parser::label::MatchOp as ParsedOp;
use promql_parser::parser::token::{self, TokenType};
use promql_parser::parser::{self as pp, LabelModifier, VectorMatchCardinality};

use crate::ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Card, Expr, Grouping, Kind, Matching, Selector, Subquery,
    TimeShift, Type,
};
use crate::guard::{Guarded, TokenKind};
use crate::labels::METRIC_NAME;
use crate::matcher::SelectorBounds;
use crate::options::EngineOptions;
use crate::{MatchOp, Matcher, QueryError, functions};

/// Parses and checks a query.
pub(crate) fn parse(text: &str, options: &EngineOptions) -> Result<Expr, QueryError> {
    let guarded = crate::guard::guard(text, options.max_query_length, options.max_depth)?;
    // The guard removes the known causes of panics in the grammar crate; what is left must not end the process.
    let parsed = std::panic::catch_unwind(|| pp::parse(&guarded.text))
        .map_err(|_| QueryError::BadData(SAYS_NOTHING.to_owned()))?
        .map_err(|message| QueryError::BadData(explain(message, &guarded)))?;
    let mut expr = Lowering { options }.expr(&parsed, options.max_depth)?;
    crate::locate::locate(&mut expr, &guarded.text, &guarded.tokens);
    Ok(expr)
}

/// What the grammar crate says when it says nothing.
const SAYS_NOTHING: &str = "invalid promql query";
/// Longest query for whose error a place is sought, in tokens: each costs an attempt to parse what is before it.
const MAX_SOUGHT: usize = 200;

/// Says where a query is wrong if the grammar crate does not: what follows the longest part that is a query itself.
fn explain(message: String, guarded: &Guarded) -> String {
    let (text, tokens) = (&guarded.text, &guarded.tokens);
    if message != SAYS_NOTHING || tokens.len() > MAX_SOUGHT {
        return message;
    }
    let is_query = |end: usize| std::panic::catch_unwind(|| pp::parse(&text[..end]).is_ok()).unwrap_or(false);
    let depth = tokens.iter().fold(0_i64, |depth, token| match token.kind {
        TokenKind::Punct(b'(' | b'[' | b'{') => depth + 1,
        TokenKind::Punct(b')' | b']' | b'}') => depth - 1,
        _ => depth,
    });
    let ends_open = depth > 0
        || tokens.last().is_none_or(
            |last| matches!(last.kind, TokenKind::Punct(byte) if !matches!(byte, b')' | b'}' | b']')),
        );
    let whole = (1..tokens.len()).rev().find(|count| is_query(tokens[count - 1].end));
    match whole {
        Some(_) if ends_open => format!("{message}: unexpected end of the query"),
        Some(count) => {
            let wrong = tokens[count];
            let place = text[..wrong.start].chars().count() + 1;
            format!("{message}: unexpected \"{}\" at character {place}", &text[wrong.start..wrong.end])
        }
        None if ends_open => format!("{message}: unexpected end of the query"),
        None => message,
    }
}

/// The text of a query that parses, laid out for reading. `None` where the grammar crate's printer is not exact
/// (it loses negative times, for example).
pub(crate) fn format(text: &str) -> Option<String> {
    let parsed = pp::parse(text).ok()?;
    let pretty = parsed.prettify();
    (pp::parse(&pretty).ok()? == parsed).then_some(pretty)
}

struct Lowering<'a> {
    options: &'a EngineOptions,
}

fn bad(message: impl Into<String>) -> QueryError {
    QueryError::BadData(message.into())
}

impl Lowering<'_> {
    fn expr(&self, parsed: &pp::Expr, depth: usize) -> Result<Expr, QueryError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(bad(format!("query is nested deeper than {} levels", self.options.max_depth)));
        };
        let kind = match parsed {
            pp::Expr::NumberLiteral(n) => Kind::Number(n.val),
            pp::Expr::StringLiteral(s) => Kind::Text(s.val.as_str().into()),
            pp::Expr::VectorSelector(s) => Kind::Selector(selector(s)?),
            pp::Expr::MatrixSelector(m) => {
                Kind::Range { selector: selector(&m.vs)?, range_ms: range_ms(m.range)? }
            }
            pp::Expr::Paren(p) => Kind::Paren(Box::new(self.expr(&p.expr, depth)?)),
            pp::Expr::Unary(u) => Kind::Negate(Box::new(self.expr(&u.expr, depth)?)),
            pp::Expr::Subquery(s) => Kind::Subquery(Box::new(Subquery {
                expr: self.expr(&s.expr, depth)?,
                range_ms: range_ms(s.range)?,
                step_ms: s.step.map(range_ms).transpose()?,
                shift: shift(&s.at, &s.offset)?,
            })),
            pp::Expr::Call(c) => self.call(c, depth)?,
            pp::Expr::Aggregate(a) => self.aggregate(a, depth)?,
            pp::Expr::Binary(b) => self.binary(b, depth)?,
            pp::Expr::Extension(_) => return Err(bad(SAYS_NOTHING)),
        };
        let mut expr = Expr::new(kind);
        expr.invariant = is_invariant(&expr.kind);
        Ok(expr)
    }

    fn call(&self, call: &pp::Call, depth: usize) -> Result<Kind, QueryError> {
        let name = call.func.name;
        let func =
            functions::lookup(name).ok_or_else(|| bad(format!("function \"{name}\" is not supported")))?;
        if call.func.experimental && !self.options.experimental {
            return Err(bad(format!("function \"{name}\" is not enabled")));
        }
        let args = call.args.args.iter().map(|a| self.expr(a, depth)).collect::<Result<Vec<_>, _>>()?;
        functions::check_arguments(func, name, &args)?;
        Ok(Kind::Call { func, name, args })
    }

    fn aggregate(&self, parsed: &pp::AggregateExpr, depth: usize) -> Result<Kind, QueryError> {
        let op = aggregate_op(parsed.op).ok_or_else(|| bad("unknown aggregation"))?;
        let experimental = matches!(op, AggregateOp::LimitK | AggregateOp::LimitRatio);
        if experimental && !self.options.experimental {
            return Err(bad("limitk() and limit_ratio() are experimental and not enabled"));
        }
        let param = parsed.param.as_deref().map(|p| self.expr(p, depth)).transpose()?;
        if experimental && param.as_ref().map(Expr::value_type) != Some(Type::Scalar) {
            return Err(bad("expected type scalar in aggregation expression"));
        }
        let grouping = match &parsed.modifier {
            None => Grouping::By(Vec::new()),
            Some(LabelModifier::Include(l)) => Grouping::By(names(&l.labels)),
            Some(LabelModifier::Exclude(l)) => Grouping::Without(names(&l.labels)),
        };
        Ok(Kind::Aggregate(Box::new(Aggregate {
            op,
            grouping,
            param,
            expr: self.expr(&parsed.expr, depth)?,
        })))
    }

    fn binary(&self, parsed: &pp::BinaryExpr, depth: usize) -> Result<Kind, QueryError> {
        let op = binary_op(parsed.op).ok_or_else(|| bad("unknown operator"))?;
        let mut matching = Matching {
            on: false,
            labels: Vec::new(),
            card: Card::OneToOne,
            include: Vec::new(),
            fill: (None, None),
        };
        if let Some(modifier) = &parsed.modifier {
            matching.on = modifier.is_matching_on();
            matching.labels =
                modifier.matching.as_ref().map(|m| names(&m.labels().labels)).unwrap_or_default();
            matching.fill = (modifier.fill_values.lhs, modifier.fill_values.rhs);
            (matching.card, matching.include) = match &modifier.card {
                VectorMatchCardinality::ManyToOne(l) => (Card::ManyToOne, names(&l.labels)),
                VectorMatchCardinality::OneToMany(l) => (Card::OneToMany, names(&l.labels)),
                VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {
                    (Card::OneToOne, Vec::new())
                }
            };
        }
        Ok(Kind::Binary(Box::new(Binary {
            op,
            lhs: self.expr(&parsed.lhs, depth)?,
            rhs: self.expr(&parsed.rhs, depth)?,
            return_bool: parsed.return_bool(),
            matching,
        })))
    }
}

fn is_invariant(kind: &Kind) -> bool {
    match kind {
        Kind::Number(_) | Kind::Text(_) => true,
        Kind::Selector(s) | Kind::Range { selector: s, .. } => s.shift.at.is_some(),
        Kind::Subquery(s) => s.shift.at.is_some(),
        Kind::Call { func, args, .. } => !func.depends_on_time() && args.iter().all(|a| a.invariant),
        Kind::Aggregate(a) => a.expr.invariant && a.param.as_ref().is_none_or(|p| p.invariant),
        Kind::Negate(e) | Kind::Paren(e) => e.invariant,
        Kind::Binary(b) => b.lhs.invariant && b.rhs.invariant,
    }
}

fn names(labels: &[String]) -> Vec<Arc<str>> {
    labels.iter().map(|l| l.as_str().into()).collect()
}

fn selector(parsed: &pp::VectorSelector) -> Result<Selector, QueryError> {
    if !parsed.matchers.or_matchers.is_empty() {
        return Err(bad("alternatives (\"or\") between label matchers are not supported"));
    }
    let mut matchers = Vec::with_capacity(parsed.matchers.matchers.len() + 1);
    let mut bounds = SelectorBounds::default();
    if let Some(name) = &parsed.name {
        matchers.push(Matcher::new(METRIC_NAME, MatchOp::Equal, name.as_str()));
    }
    for m in &parsed.matchers.matchers {
        let op = match m.op {
            ParsedOp::Equal => MatchOp::Equal,
            ParsedOp::NotEqual => MatchOp::NotEqual,
            ParsedOp::Re(_) => MatchOp::Regex,
            ParsedOp::NotRe(_) => MatchOp::NotRegex,
        };
        bounds.count(op)?;
        let matcher = Matcher::new(m.name.as_str(), op, m.value.as_str());
        matchers.push(matcher.portable().map_err(|e| bad(e.to_string()))?);
    }
    Ok(Selector { matchers: matchers.into(), shift: shift(&parsed.at, &parsed.offset)? })
}

fn shift(at: &Option<pp::AtModifier>, offset: &Option<pp::Offset>) -> Result<TimeShift, QueryError> {
    let at = match at {
        None => None,
        Some(pp::AtModifier::Start) => Some(At::Start),
        Some(pp::AtModifier::End) => Some(At::End),
        Some(pp::AtModifier::At(time)) => Some(At::Ms(time_ms(*time)?)),
    };
    let offset_ms = match offset {
        None => 0,
        Some(pp::Offset::Pos(d)) => duration_ms(*d)?,
        Some(pp::Offset::Neg(d)) => -duration_ms(*d)?,
    };
    Ok(TimeShift { at, offset_ms })
}

fn time_ms(time: SystemTime) -> Result<i64, QueryError> {
    let out_of_bounds = |_| bad("timestamp out of bounds for @ modifier");
    let ms = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).map_err(out_of_bounds)?,
        Err(before) => -i64::try_from(before.duration().as_millis()).map_err(out_of_bounds)?,
    };
    if ms.abs() > MAX_TIME_MS {
        return Err(bad("timestamp out of bounds for @ modifier"));
    }
    Ok(ms)
}

/// Times and durations stay below this, so that sums of some of them never overflow.
pub(crate) const MAX_TIME_MS: i64 = i64::MAX / 1024;

fn duration_ms(duration: Duration) -> Result<i64, QueryError> {
    i64::try_from(duration.as_millis())
        .ok()
        .filter(|&ms| ms <= MAX_TIME_MS)
        .ok_or_else(|| bad("duration out of range"))
}

fn range_ms(duration: Duration) -> Result<i64, QueryError> {
    match duration_ms(duration)? {
        0 => Err(bad("duration must be greater than 0")),
        ms => Ok(ms),
    }
}

fn aggregate_op(op: TokenType) -> Option<AggregateOp> {
    Some(match op.id() {
        token::T_SUM => AggregateOp::Sum,
        token::T_AVG => AggregateOp::Avg,
        token::T_COUNT => AggregateOp::Count,
        token::T_MIN => AggregateOp::Min,
        token::T_MAX => AggregateOp::Max,
        token::T_GROUP => AggregateOp::Group,
        token::T_STDDEV => AggregateOp::Stddev,
        token::T_STDVAR => AggregateOp::Stdvar,
        token::T_TOPK => AggregateOp::TopK,
        token::T_BOTTOMK => AggregateOp::BottomK,
        token::T_COUNT_VALUES => AggregateOp::CountValues,
        token::T_QUANTILE => AggregateOp::Quantile,
        token::T_LIMITK => AggregateOp::LimitK,
        token::T_LIMIT_RATIO => AggregateOp::LimitRatio,
        _ => return None,
    })
}

fn binary_op(op: TokenType) -> Option<BinaryOp> {
    Some(match op.id() {
        token::T_ADD => BinaryOp::Add,
        token::T_SUB => BinaryOp::Sub,
        token::T_MUL => BinaryOp::Mul,
        token::T_DIV => BinaryOp::Div,
        token::T_MOD => BinaryOp::Mod,
        token::T_POW => BinaryOp::Pow,
        token::T_ATAN2 => BinaryOp::Atan2,
        token::T_EQLC => BinaryOp::Eq,
        token::T_NEQ => BinaryOp::Ne,
        token::T_GTR => BinaryOp::Gt,
        token::T_LSS => BinaryOp::Lt,
        token::T_GTE => BinaryOp::Ge,
        token::T_LTE => BinaryOp::Le,
        token::T_LAND => BinaryOp::And,
        token::T_LOR => BinaryOp::Or,
        token::T_LUNLESS => BinaryOp::Unless,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_query_is_said_with_its_place() {
        for (query, wanted) in [
            ("up ==", "invalid promql query: unexpected end of the query"),
            ("up up", "invalid promql query: unexpected \"up\" at character 4"),
            ("up == 1 2", "invalid promql query: unexpected \"2\" at character 9"),
        ] {
            match parse(query, &EngineOptions::default()) {
                Err(QueryError::BadData(message)) => assert_eq!(message, wanted, "{query}"),
                other => panic!("{query}: {other:?}"),
            }
        }
    }
}
