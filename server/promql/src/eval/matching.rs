//! Operators between two vectors: series find their partners by signature, one to one or many to one.
//!
//! The side that `group_left`/`group_right` names is "many", the other "one". Within a group of equal signature
//! the "one" side must have one series at a step; several that take turns over time are fine.

use std::collections::HashMap;

use crate::ast::{Binary, Card, Matching};
use crate::eval::binary::CellOp;
use crate::eval::column::merge_into;
use crate::eval::sets::signature;
use crate::eval::{ABSENT, Budget, Evaluator, Grid, Series, is_absent, merge_same_labels};
use crate::{Labels, QueryError};

/// Series of both sides with one signature, as indexes.
struct Group {
    signature: Labels,
    many: Vec<usize>,
    one: Vec<usize>,
}

/// Everything about one operator that does not change between its groups.
struct Join<'a> {
    b: &'a Binary,
    cell: CellOp,
    many: &'a [Series],
    one: &'a [Series],
    /// Steps at which the many side has any series: duplicates elsewhere harm nobody.
    many_there: Vec<bool>,
    grid: &'a Grid,
    budget: &'a Budget,
    drop_names_later: bool,
}

impl Evaluator<'_> {
    pub(super) fn vector_vector(
        &mut self,
        b: &Binary,
        lhs: Vec<Series>,
        rhs: Vec<Series>,
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        let (many, one) = if b.matching.card == Card::OneToMany { (rhs, lhs) } else { (lhs, rhs) };
        let groups = group(&many, &one, &b.matching);
        let mut many_there = vec![false; grid.count];
        if groups.iter().any(|g| g.one.len() > 1) {
            for s in &many {
                many_there.iter_mut().zip(&s.values).for_each(|(t, v)| *t |= !is_absent(*v));
            }
        }
        let join = Join {
            b,
            cell: CellOp::new(b),
            many: &many,
            one: &one,
            many_there,
            grid,
            budget: &self.budget,
            drop_names_later: self.options.delayed_name_removal,
        };
        let mut out = Vec::with_capacity(many.len());
        for group in &groups {
            self.budget.check_time()?;
            out.extend(join.group(group)?);
        }
        merge_same_labels(out)
    }
}

fn group(many: &[Series], one: &[Series], matching: &Matching) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut by_signature: HashMap<Labels, usize> = HashMap::new();
    let mut find = |labels: &Labels, groups: &mut Vec<Group>| {
        let signature = signature(labels, matching);
        *by_signature.entry(signature.clone()).or_insert_with(|| {
            groups.push(Group { signature, many: Vec::new(), one: Vec::new() });
            groups.len() - 1
        })
    };
    for (i, s) in many.iter().enumerate() {
        let g = find(&s.labels, &mut groups);
        groups[g].many.push(i);
    }
    for (i, s) in one.iter().enumerate() {
        let g = find(&s.labels, &mut groups);
        groups[g].one.push(i);
    }
    groups
}

/// No partner at this step.
const NOBODY: u32 = u32::MAX;

impl Join<'_> {
    fn swapped(&self) -> bool {
        self.b.matching.card == Card::OneToMany
    }

    /// Fill values for a missing series on the many and on the one side.
    fn fills(&self) -> (Option<f64>, Option<f64>) {
        let (left, right) = self.b.matching.fill;
        if self.swapped() { (right, left) } else { (left, right) }
    }

    fn group(&self, group: &Group) -> Result<Vec<Series>, QueryError> {
        let (fill_many, fill_one) = self.fills();
        let partner = self.partners(group)?;
        let mut out = Vec::new();
        if !group.one.is_empty() || fill_one.is_some() {
            self.join_many(group, &partner, fill_one, &mut out)?;
        }
        if let Some(fill) = fill_many
            && !group.one.is_empty()
        {
            self.join_lonely(group, &partner, fill, &mut out)?;
        }
        if self.b.matching.card != Card::OneToOne {
            unique_within_group(&mut out)?;
        }
        Ok(out)
    }

    /// For each step the series of the one side, as its index within the group.
    fn partners(&self, group: &Group) -> Result<Vec<u32>, QueryError> {
        let mut partner = vec![NOBODY; self.grid.count];
        let fills = self.fills();
        for (n, &i) in group.one.iter().enumerate() {
            for (step, v) in self.one[i].values.iter().enumerate() {
                if is_absent(*v) {
                    continue;
                }
                let there = self.many_there[step] || fills.0.is_some();
                if partner[step] != NOBODY && there {
                    let other = group.one[partner[step] as usize];
                    return Err(self.duplicate(group, &self.one[other].labels, &self.one[i].labels));
                }
                partner[step] = n as u32;
            }
        }
        Ok(partner)
    }

    fn duplicate(&self, group: &Group, a: &Labels, b: &Labels) -> QueryError {
        let (first, second) = if a.to_string() <= b.to_string() { (a, b) } else { (b, a) };
        QueryError::execution(format!(
            "found duplicate series for the match group {} on the {} hand-side of the operation: [{}, {}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
            group.signature,
            if self.swapped() { "left" } else { "right" },
            first,
            second,
        ))
    }

    /// Joins every series of the many side with its partners.
    fn join_many(
        &self,
        group: &Group,
        partner: &[u32],
        fill_one: Option<f64>,
        out: &mut Vec<Series>,
    ) -> Result<(), QueryError> {
        let mut taken = vec![false; if group.many.len() > 1 { self.grid.count } else { 0 }];
        for &m in &group.many {
            // One column for each partner that the series meets over time; the last met is found first.
            let mut columns: Vec<(usize, Vec<f64>)> = Vec::new();
            for (step, &mv) in self.many[m].values.iter().enumerate() {
                if is_absent(mv) {
                    continue;
                }
                let (n, ov) = match (partner[step], fill_one) {
                    (NOBODY, None) => continue,
                    (NOBODY, Some(fill)) => (group.one.len(), fill),
                    (n, _) => (n as usize, self.one[group.one[n as usize]].values[step]),
                };
                let value = self.cell(mv, ov);
                if is_absent(value) {
                    continue;
                }
                if let (Card::OneToOne, Some(taken)) = (self.b.matching.card, taken.get_mut(step)) {
                    if *taken {
                        return Err(QueryError::execution(
                            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                        ));
                    }
                    *taken = true;
                }
                let at = match columns.iter().rposition(|(partner, _)| *partner == n) {
                    Some(at) => at,
                    None => {
                        columns.push((n, self.column()?));
                        columns.len() - 1
                    }
                };
                columns[at].1[step] = value;
            }
            for (n, values) in columns {
                let one = group.one.get(n).map(|&i| &self.one[i].labels);
                out.push(self.series(&self.many[m].labels, one.unwrap_or(&group.signature), values));
            }
        }
        Ok(())
    }

    /// Series of the one side without any partner meet the fill value.
    fn join_lonely(
        &self,
        group: &Group,
        partner: &[u32],
        fill: f64,
        out: &mut Vec<Series>,
    ) -> Result<(), QueryError> {
        for (n, &o) in group.one.iter().enumerate() {
            let mut column = self.column()?;
            for (step, cell) in column.iter_mut().enumerate() {
                let met = group.many.iter().any(|&m| !is_absent(self.many[m].values[step]));
                if partner[step] == n as u32 && !met {
                    *cell = self.cell(fill, self.one[o].values[step]);
                }
            }
            let series = self.series(&group.signature, &self.one[o].labels, column);
            if !series.is_empty() {
                out.push(series);
            }
        }
        Ok(())
    }

    /// An empty column. Charged one by one: partners that take turns make as many as there are steps.
    fn column(&self) -> Result<Vec<f64>, QueryError> {
        self.budget.hold(self.grid.count)?;
        Ok(vec![ABSENT; self.grid.count])
    }

    #[inline]
    fn cell(&self, many: f64, one: f64) -> f64 {
        let (l, r) = if self.swapped() { (one, many) } else { (many, one) };
        self.cell.apply(l, r, l)
    }

    fn series(&self, many: &Labels, one: &Labels, values: Vec<f64>) -> Series {
        let b = self.b;
        let drops = !self.cell.filters;
        let arithmetic = !b.op.is_comparison();
        let mut labels = many.clone();
        // `bool` comparisons put the removal off in delayed mode, arithmetic never does.
        if arithmetic || (drops && !self.drop_names_later) {
            labels = labels.without_metric_identity();
        }
        if b.matching.card == Card::OneToOne {
            let listed = |name: &str| b.matching.labels.iter().any(|l| &**l == name);
            labels = labels.filtered(|name| listed(name) == b.matching.on);
        }
        for name in &b.matching.include {
            labels = labels.with(name, one.get(name).unwrap_or(""));
        }
        Series { labels, drop_name: drops && self.drop_names_later, values }
    }
}

/// With grouping, two series of the many side must not end up with equal labels at one step.
fn unique_within_group(out: &mut Vec<Series>) -> Result<(), QueryError> {
    let mut by_labels: HashMap<Labels, usize> = HashMap::with_capacity(out.len());
    let mut kept: Vec<Series> = Vec::with_capacity(out.len());
    for s in out.drain(..) {
        match by_labels.get(&s.labels) {
            Some(&i) => merge_into(&mut kept[i].values, &s.values).ok_or_else(|| {
                QueryError::execution(
                    "multiple matches for labels: grouping labels must ensure unique matches",
                )
            })?,
            None => {
                by_labels.insert(s.labels.clone(), kept.len());
                kept.push(s);
            }
        }
    }
    *out = kept;
    Ok(())
}
