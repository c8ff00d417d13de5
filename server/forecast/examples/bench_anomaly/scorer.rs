//! The benchmark's rules of scoring (Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms", 2015):
//! within a window the best detection counts, the earlier the more; a window without one costs; each detection outside
//! costs the more, the farther it is past the last window. One threshold for the whole corpus, chosen on the labels.

use super::corpus::{Profile, Series};

/// Rows before this share of a series, or this count, are for learning and not scored.
const PROBATION_SHARE: f64 = 0.15;
const PROBATION_BASE: usize = 5_000;

/// What one row is worth if it is told as an anomaly.
#[derive(Clone, Copy)]
enum Worth {
    /// In window `.0` of the series; with this part of a hit's weight.
    Hit(usize, f64),
    /// Outside; with this part of a false alarm's weight, negative.
    False(f64),
}

struct Row {
    score: f64,
    /// Series and worth.
    series: usize,
    worth: Worth,
}

/// How a detector did with one threshold.
#[derive(Clone, Copy)]
pub(super) struct Scored {
    /// 0 for a detector that tells nothing, 100 for a perfect one.
    pub(super) score: f64,
    pub(super) threshold: f64,
    pub(super) windows: usize,
    pub(super) hit: usize,
    pub(super) false_alarms: usize,
}

fn sigmoid(x: f64) -> f64 {
    2.0 / (1.0 + (5.0 * x).exp()) - 1.0
}

pub(super) fn probation(rows: usize) -> usize {
    (PROBATION_SHARE * rows.min(PROBATION_BASE) as f64).floor() as usize
}

/// What telling each row is worth.
fn worths(series: &Series) -> Vec<Worth> {
    let index = |at: i64| series.rows.partition_point(|(row, _)| *row < at);
    // Windows by rows, inclusive.
    let windows: Vec<(usize, usize)> =
        series.windows.iter().map(|&(from, to)| (index(from), index(to + 1).saturating_sub(1))).collect();
    (0..series.rows.len())
        .map(|row| {
            if let Some(number) = windows.iter().position(|&(from, to)| from <= row && row <= to) {
                let (from, to) = windows[number];
                let position = -((to - row + 1) as f64) / (to - from + 1) as f64;
                return Worth::Hit(number, sigmoid(position) / sigmoid(-1.0));
            }
            let last = windows.iter().rfind(|&&(_, to)| to < row);
            let past = last.map_or(f64::INFINITY, |&(from, to)| {
                let width = (to - from) as f64;
                (row - to) as f64 / width.max(1.0)
            });
            Worth::False(if past > 3.0 { -1.0 } else { sigmoid(past) })
        })
        .collect()
}

/// The best score over all thresholds.
pub(super) fn best(corpus: &[&Series], scores: &[Vec<f64>], profile: Profile) -> Scored {
    sweep(corpus, scores, profile, None)
}

/// The score with this threshold.
pub(super) fn at(corpus: &[&Series], scores: &[Vec<f64>], profile: Profile, threshold: f64) -> Scored {
    sweep(corpus, scores, profile, Some(threshold))
}

/// Rows that count, the highest score first.
fn rows(corpus: &[&Series], scores: &[Vec<f64>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (number, (series, scores)) in corpus.iter().zip(scores).enumerate() {
        let judged = worths(series).into_iter().zip(scores).skip(probation(series.rows.len()));
        rows.extend(judged.map(|(worth, &score)| Row { score, series: number, worth }));
    }
    rows.sort_by(|a, b| b.score.total_cmp(&a.score));
    rows
}

fn sweep(corpus: &[&Series], scores: &[Vec<f64>], profile: Profile, threshold: Option<f64>) -> Scored {
    let rows = rows(corpus, scores);
    // The best part of a hit's weight so far, of each window of each series.
    let mut hits: Vec<Vec<Option<f64>>> =
        corpus.iter().map(|series| vec![None; series.windows.len()]).collect();
    let windows: usize = hits.iter().map(Vec::len).sum();
    let null = -profile.missed * windows as f64;
    let perfect = profile.tp * windows as f64;
    let mut raw = null;
    let nothing =
        Scored { score: 0.0, threshold: threshold.unwrap_or(f64::MAX), windows, hit: 0, false_alarms: 0 };
    let (mut now, mut found) = (nothing, nothing);
    for (position, row) in rows.iter().enumerate() {
        if threshold.is_some_and(|threshold| row.score < threshold) {
            break;
        }
        match row.worth {
            Worth::Hit(window, part) => {
                let best = &mut hits[row.series][window];
                let before = best.map_or(0.0, |before| profile.missed + profile.tp * before);
                now.hit += usize::from(best.is_none());
                let part = best.map_or(part, |before| before.max(part));
                raw += profile.missed + profile.tp * part - before;
                *best = Some(part);
            }
            Worth::False(part) => {
                now.false_alarms += 1;
                raw += profile.fp * part;
            }
        }
        // Rows of one score are told together. A folder without windows has no score, only false alarms.
        let ends = rows.get(position + 1).is_none_or(|next| next.score < row.score);
        now.score = 100.0 * (raw - null) / (perfect - null).max(1.0);
        if ends && (threshold.is_some() || now.score > found.score) {
            found = Scored { threshold: threshold.unwrap_or(row.score), ..now };
        }
    }
    found
}
