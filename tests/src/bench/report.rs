//! The table: every measure beside those of the peers, as ratios, and whether the target is met.

use super::Measured;
use super::queries::QUERIES;
use super::servers::Kind;

/// How a target is stated.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// At least this many times VictoriaMetrics.
    AtLeast(f64),
    /// At most this many times VictoriaMetrics.
    AtMost(f64),
    /// At most this many times VictoriaMetrics and Prometheus, or `slack` more than the better of them.
    Both { victoria: f64, prometheus: f64, slack: f64 },
}

/// One measure of all servers.
#[derive(Debug)]
pub struct Row {
    what: String,
    target: Target,
    values: Vec<(Kind, f64)>,
    digits: usize,
}

impl Row {
    fn of(&self, kind: Kind) -> Option<f64> {
        self.values.iter().find(|(k, _)| *k == kind).map(|(_, value)| *value)
    }

    /// Whether Siaga is where it must be; nothing when there is no peer to compare with.
    fn met(&self) -> Option<bool> {
        let (own, victoria) = (self.of(Kind::Siaga)?, self.of(Kind::Victoria));
        match self.target {
            Target::AtLeast(times) => Some(own >= times * victoria?),
            Target::AtMost(times) => Some(own <= times * victoria?),
            Target::Both { victoria: v, prometheus: p, slack } => {
                let (victoria, prometheus) = (victoria?, self.of(Kind::Prometheus)?);
                let ratios = own <= v * victoria && own <= p * prometheus;
                Some(ratios || (slack > 0.0 && own <= victoria.min(prometheus) + slack))
            }
        }
    }

    fn target(&self) -> String {
        match self.target {
            Target::AtLeast(times) => format!(">= {times} VM"),
            Target::AtMost(times) => format!("<= {times} VM"),
            Target::Both { victoria, prometheus, slack } if slack > 0.0 => {
                format!("<= {victoria} VM, {prometheus} P, or +{slack} ms")
            }
            Target::Both { victoria, prometheus, .. } => format!("<= {victoria} VM, {prometheus} P"),
        }
    }
}

/// All measures.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "bytes and samples stay far below 2^53")]
pub fn rows(measured: &[Measured], samples: usize) -> Vec<Row> {
    let row = |what: &str, target, digits, value: &dyn Fn(&Measured) -> f64| Row {
        what: what.to_owned(),
        target,
        values: measured.iter().map(|m| (m.kind, value(m))).collect(),
        digits,
    };
    let mut rows = vec![
        row("million samples/s", Target::AtLeast(1.0), 3, &|m| m.ingest.samples_per_second / 1e6),
        row("CPU s per million samples", Target::AtMost(1.0), 3, &|m| m.ingest.cpu_per_million),
        row("peak memory, MB", Target::AtMost(0.8), 0, &|m| m.ingest.peak_bytes as f64 / 1e6),
        row("bytes a sample, settled", Target::AtMost(0.85), 3, &|m| m.disk_bytes as f64 / samples as f64),
    ];
    for (when, of) in [
        ("", (|m: &Measured| &m.live_ms) as fn(&Measured) -> &Vec<f64>),
        (", settled", |m: &Measured| &m.settled_ms),
    ] {
        for (at, query) in QUERIES.iter().enumerate() {
            if measured.iter().any(|m| of(m).len() <= at) {
                continue;
            }
            let target =
                Target::Both { victoria: 0.8, prometheus: 0.4, slack: if query.small { 1.0 } else { 0.0 } };
            let what = format!("{}) {}{when}, ms", query.letter, query.what);
            rows.push(row(&what, target, 2, &|m| of(m).get(at).copied().unwrap_or(f64::NAN)));
        }
    }
    rows
}

/// The rows as lines, widths aligned.
#[must_use]
pub fn table(rows: &[Row], measured: &[Measured]) -> Vec<String> {
    let mut lines = Vec::new();
    let names: String = measured.iter().map(|m| format!("{:>18}", m.kind.to_string())).collect();
    lines.push(format!("{:<46}{names}{:>8}{:>8}  target", "", "/ VM", "/ P"));
    for row in rows {
        let values: String = measured
            .iter()
            .map(|m| format!("{:>18.*}", row.digits, row.of(m.kind).unwrap_or(f64::NAN)))
            .collect();
        let ratio = |kind| match (row.of(Kind::Siaga), row.of(kind)) {
            (Some(own), Some(peer)) => format!("{:.2}", own / peer),
            _ => "-".to_owned(),
        };
        let verdict = match row.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        lines.push(format!(
            "{:<46}{values}{:>8}{:>8}  {}  {verdict}",
            row.what,
            ratio(Kind::Victoria),
            ratio(Kind::Prometheus),
            row.target(),
        ));
    }
    let senders = measured.iter().map(|m| format!("{:.3}", m.ingest.sender_cpu_per_million));
    lines.push(format!("sender's CPU s per million: {}", senders.collect::<Vec<_>>().join(", ")));
    lines.push(summary(rows));
    lines
}

fn summary(rows: &[Row]) -> String {
    let count = |wanted| rows.iter().filter(|row| row.met() == wanted).count();
    let (met, missed, alone) = (count(Some(true)), count(Some(false)), count(None));
    format!("{met} of {} targets met, {missed} missed, {alone} without a peer to compare with", rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: Target, values: [f64; 3]) -> Row {
        let kinds = [Kind::Siaga, Kind::Victoria, Kind::Prometheus];
        Row { what: String::new(), target, values: kinds.into_iter().zip(values).collect(), digits: 1 }
    }

    #[test]
    fn a_target_is_met_only_against_both_peers_or_within_the_slack() {
        let both = |slack| Target::Both { victoria: 0.8, prometheus: 0.4, slack };
        assert_eq!(row(both(0.0), [8.0, 10.0, 20.0]).met(), Some(true));
        assert_eq!(row(both(0.0), [8.1, 10.0, 30.0]).met(), Some(false));
        assert_eq!(row(both(0.0), [8.0, 10.0, 19.0]).met(), Some(false));
        assert_eq!(row(both(1.0), [1.9, 1.0, 1.3]).met(), Some(true));
        assert_eq!(row(Target::AtLeast(1.0), [0.9, 1.0, 0.1]).met(), Some(false));
        assert_eq!(row(Target::AtMost(0.8), [0.8, 1.0, 0.1]).met(), Some(true));
    }

    #[test]
    fn a_target_without_its_peer_is_not_called_met() {
        let mut alone = row(Target::AtMost(0.8), [0.1, 1.0, 1.0]);
        alone.values.truncate(1);
        let rows =
            [row(Target::AtMost(0.8), [0.8, 1.0, 0.1]), row(Target::AtMost(0.8), [2.0, 1.0, 0.1]), alone];
        assert_eq!(summary(&rows), "1 of 3 targets met, 1 missed, 1 without a peer to compare with");
    }
}
