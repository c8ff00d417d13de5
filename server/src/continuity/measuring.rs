//! What a drill measures when its steps have ended and when it is rolled back: probes, and rows that were written through
//! the service's own path.

use std::time::Duration;

use super::execute::{Run, Watched};
use super::journal::{CheckTime, Fact};
use super::machine::Phase;
use super::plan::Kind;
use super::prober::Prober;
use super::reason::Reason;
use super::targets::{missed, missed_in_rollback, rows_missed};
use crate::time::{millis, now_ms};

/// How long rows are tried to be read: after a drill that went well, and before a rollback that is needed.
const READ_CALMLY: Duration = Duration::from_secs(20);
const READ_QUICKLY: Duration = Duration::from_secs(2);

impl Run {
    pub(super) async fn measure(&mut self, watched: &Watched) -> anyhow::Result<()> {
        let until_ms = now_ms();
        self.rest_from_ms = Some(until_ms + 1);
        let probes = watched.prober.measure(self.fault_ms.unwrap_or(until_ms), until_ms).await;
        let target_ms = millis(self.plan.rto);
        let mut reasons: Vec<Reason> = probes.iter().flat_map(|found| missed(found, target_ms)).collect();
        if let (Kind::Restore, Some((from_ms, to_ms))) = (self.plan.kind, self.span_ms)
            && to_ms - from_ms > target_ms
        {
            reasons.push(Reason::RestoreTooSlow { took_ms: to_ms - from_ms, target_ms });
        }
        // A pause of the measuring is told, but is no failure where it cannot hide one.
        let met = reasons.iter().all(|reason| matches!(reason, Reason::PartlyUnmeasured { .. }));
        self.measured = Some(probes.clone());
        // First, as the result of the measurement ends the phase in which rows count.
        self.count_rows(CheckTime::Step, watched).await?;
        self.record(Fact::Measured { met, probes, reasons }).await
    }

    /// Measures what has not been measured yet. Where nothing was done to the service, nothing can be: that it answered
    /// is no recovery.
    pub(super) async fn measure_once(&mut self, watched: &Watched) -> anyhow::Result<()> {
        if self.measured.is_some() {
            return Ok(());
        }
        if self.machine.acted() {
            return self.measure(watched).await;
        }
        self.measured = Some(Vec::new());
        Ok(())
    }

    /// Measures what came after the first measurement.
    pub(super) async fn measure_rollback(&mut self, prober: &Prober) -> anyhow::Result<()> {
        let (Some(from_ms), Some(before)) = (self.rest_from_ms, &self.measured) else { return Ok(()) };
        if before.is_empty() {
            return Ok(());
        }
        let probes = prober.measure_rest(before, from_ms, now_ms()).await;
        let target_ms = millis(self.plan.rto);
        let reasons: Vec<Reason> =
            probes.iter().filter_map(|found| missed_in_rollback(found, target_ms)).collect();
        self.rollback.clone_from(&probes);
        self.record(Fact::RollbackMeasured { met: reasons.is_empty(), probes, reasons }).await
    }

    /// Counts the rows that were written, if any were.
    pub(super) async fn count_rows(&mut self, when: CheckTime, watched: &Watched) -> anyhow::Result<()> {
        let Some(marks) = &watched.marks else { return Ok(()) };
        // A service that is down is brought back first.
        let calm = when == CheckTime::After || self.machine.phase() == Phase::Measuring;
        let (count, problem) = marks.count(if calm { READ_CALMLY } else { READ_QUICKLY }).await;
        let earlier = if when == CheckTime::After { self.lost } else { None };
        let reasons = rows_missed(&count, problem, self.plan.rpo.map(millis), earlier);
        self.lost = Some(count.lost);
        self.record(Fact::RowsCounted { when, count, met: reasons.is_empty(), reasons }).await
    }
}
