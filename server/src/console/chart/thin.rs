//! Fewer points where a screen cannot show more, without losing peaks or gaps. Pure.

use crate::time::Millis;

/// A line with more points than this is thinned.
pub(super) const MAX_POINTS: usize = 600;

/// The lowest and highest point of each of `buckets` equal stretches of time, in order of time. A gap (NaN) stays one.
pub(super) fn thin(points: &[(Millis, f64)], buckets: usize) -> Vec<(Millis, f64)> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    if points.len() <= MAX_POINTS || buckets == 0 {
        return points.to_vec();
    }
    let mut out = Vec::with_capacity(buckets * 3);
    for group in grouped(points, first.0, last.0, buckets, |point| point.0) {
        let finite = group.iter().filter(|(_, value)| value.is_finite());
        let low = finite.clone().min_by(|a, b| a.1.total_cmp(&b.1));
        let high = finite.max_by(|a, b| a.1.total_cmp(&b.1));
        let gap = group.iter().find(|(_, value)| !value.is_finite());
        let mut kept: Vec<(Millis, f64)> = [low, high, gap].into_iter().flatten().copied().collect();
        kept.sort_by_key(|(at, _)| *at);
        kept.dedup_by_key(|(at, _)| *at);
        out.extend(kept);
    }
    out
}

/// The widest interval of each of `buckets` equal stretches of time.
pub(super) fn thin_band(points: &[(Millis, f64, f64)], buckets: usize) -> Vec<(Millis, f64, f64)> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    if points.len() <= MAX_POINTS || buckets == 0 {
        return points.to_vec();
    }
    grouped(points, first.0, last.0, buckets, |point| point.0)
        .filter_map(|group| {
            let (at, _, _) = *group.first()?;
            let low = group.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
            let high = group.iter().map(|point| point.2).fold(f64::NEG_INFINITY, f64::max);
            Some((at, low, high))
        })
        .collect()
}

fn grouped<T>(
    points: &[T],
    first: Millis,
    last: Millis,
    buckets: usize,
    at: impl Fn(&T) -> Millis + Copy,
) -> impl Iterator<Item = &[T]> {
    let buckets = i64::try_from(buckets).unwrap_or(i64::MAX);
    let width = (last.saturating_sub(first) / buckets).max(1);
    points.chunk_by(move |a, b| (at(a) - first) / width == (at(b) - first) / width)
}

/// Puts a gap wherever two neighbours lie further apart than one and a half steps.
pub(super) fn with_gaps(points: &[(Millis, f64)], step_ms: Millis) -> Vec<(Millis, f64)> {
    let mut out: Vec<(Millis, f64)> = Vec::with_capacity(points.len());
    for (at, value) in points {
        if let Some((before, _)) = out.last().filter(|(before, _)| at - before > step_ms + step_ms / 2) {
            out.push((before + step_ms, f64::NAN));
        }
        out.push((*at, *value));
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_is_put_where_steps_are_missing() {
        let found = with_gaps(&[(0, 1.0), (10, 2.0), (40, 3.0)], 10);
        assert_eq!(found.len(), 4);
        assert_eq!(found[2].0, 20);
        assert!(found[2].1.is_nan());
    }

    proptest! {
        #[test]
        fn peaks_and_gaps_survive(values in prop::collection::vec(prop_oneof![9 => -1e6_f64..1e6, 1 => Just(f64::NAN)], 1..3_000)) {
            let points: Vec<(Millis, f64)> = (0_i64..).map(|i| i * 15_000).zip(values).collect();
            let thinned = thin(&points, 300);
            prop_assert!(thinned.len() <= MAX_POINTS.max(3 * 301));
            let ends = |points: &[(Millis, f64)]| {
                let finite = points.iter().map(|p| p.1).filter(|v| v.is_finite());
                (finite.clone().fold(f64::NAN, f64::min), finite.fold(f64::NAN, f64::max))
            };
            prop_assert_eq!(format!("{:?}", ends(&thinned)), format!("{:?}", ends(&points)));
            let gaps = |points: &[(Millis, f64)]| points.iter().any(|p| p.1.is_nan());
            prop_assert_eq!(gaps(&thinned), gaps(&points));
            prop_assert!(thinned.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
