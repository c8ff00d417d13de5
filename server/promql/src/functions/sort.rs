//! sort and sort_by_label. They only have an effect on instant queries: ranges are answered in order of labels.

use std::cmp::Ordering;

use crate::eval::{ABSENT, Grid, Series};

/// Sorts by value, NaN last in both directions.
pub(crate) fn by_values(series: &mut [Series], grid: &Grid, descending: bool) {
    if grid.count == 1 {
        let value = |s: &Series| s.values.first().copied().unwrap_or(ABSENT);
        series.sort_by(|a, b| crate::eval::by_value(value(a), value(b), descending));
    }
}

/// Sorts by the values of labels in natural order (`2` before `10`), then by all labels.
pub(crate) fn by_labels(series: &mut [Series], labels: &[String], descending: bool) {
    series.sort_by(|a, b| {
        let order = labels
            .iter()
            .map(|l| natural(a.labels.get(l).unwrap_or(""), b.labels.get(l).unwrap_or("")))
            .find(|o| *o != Ordering::Equal)
            .unwrap_or_else(|| a.labels.cmp(&b.labels));
        if descending { order.reverse() } else { order }
    });
}

/// Compares texts piece by piece; runs of digits compare as numbers.
fn natural(mut a: &str, mut b: &str) -> Ordering {
    loop {
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let (piece_a, rest_a) = piece(a);
        let (piece_b, rest_b) = piece(b);
        if piece_a != piece_b {
            let is_number = |p: &str| p.bytes().next().is_some_and(|c| c.is_ascii_digit());
            if is_number(piece_a) && is_number(piece_b) {
                let (x, y) = (piece_a.trim_start_matches('0'), piece_b.trim_start_matches('0'));
                let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
                if order != Ordering::Equal {
                    return order;
                }
                return piece_a.len().cmp(&piece_b.len());
            }
            return piece_a.cmp(piece_b);
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The leading run of digits, or of anything else.
fn piece(text: &str) -> (&str, &str) {
    let digit = |c: char| c.is_ascii_digit();
    let first = text.chars().next().is_some_and(digit);
    text.split_at(text.find(|c: char| digit(c) != first).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_inside_labels_sort_as_numbers() {
        let mut names = vec!["4m1000", "4m5", "4m600", "a", ""];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["", "4m5", "4m600", "4m1000", "a"]);
    }
}
