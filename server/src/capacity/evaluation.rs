//! One evaluation of one resource: what was measured, and the forecast or the reason why there is none. Pure.
//!
//! All shares are in percent of the resource, all dates are points in time; no number stands here without support.

use serde::{Deserialize, Serialize};
use siaga_forecast::{
    Direction, Forecast, HourlySeries, MAX_PATH_HOURS, MIN_KNOWN_HOURS, Note, Refusal, Request, SeriesKind,
    Threshold, Until, early, forecast,
};

use super::resource::ResourceKey;
use super::state::{State, state};
use super::usage::Standing;
use crate::time::{DAY_MS, Millis};

/// Distances in days at which each forecast is kept for later scoring.
pub const HORIZON_DAYS: [u16; 7] = [1, 3, 7, 14, 30, 60, 90];

/// A resource as measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Which.
    pub key: ResourceKey,
    /// What 100 percent is, in the unit of the series: bytes, or 100.
    pub full: f64,
    /// Threshold in percent.
    pub threshold_percent: f64,
    /// Use now, or as last seen, in percent.
    pub current_percent: Option<f64>,
    /// What that is worth.
    pub standing: Standing,
    /// Use hour by hour, up to the last whole hour.
    pub history: HourlySeries,
    /// Use minute by minute of what is too new for hours; else empty.
    pub recent: Vec<(Millis, f64)>,
}

/// When the threshold is passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Crossing {
    /// It is passed already.
    Past,
    /// Not within a year.
    Never,
    /// An 80 % interval of points in time; `None` means not within a year.
    Within {
        /// Early end.
        earliest_ms: Option<Millis>,
        /// Most likely.
        likely_ms: Option<Millis>,
        /// Late end.
        latest_ms: Option<Millis>,
    },
}

/// Three paths in percent, hour by hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Paths {
    /// Start of the first hour.
    pub start_ms: Millis,
    /// One value in ten falls below.
    pub p10: Vec<f64>,
    /// Half the values fall below.
    pub p50: Vec<f64>,
    /// Nine values in ten fall below.
    pub p90: Vec<f64>,
    /// The peak of each whole day from the start on: 10, 50 and 90 percent.
    pub peaks: Vec<[f64; 3]>,
}

/// The peak of the day that ends at one distance, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HorizonPoint {
    /// Days ahead.
    pub days: u16,
    /// One value in ten falls below.
    pub p10: f64,
    /// Half the values fall below.
    pub p50: f64,
    /// Nine values in ten fall below.
    pub p90: f64,
}

/// What was noticed in the series; texts are in the catalogue under `capacity.remark.CODE`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remark {
    /// What.
    pub code: String,
    /// When, if it has a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<Millis>,
    /// How much, if it has a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
}

/// Why there is no forecast; texts are in the catalogue under `capacity.reason.CODE`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Why.
    pub code: String,
    /// What there is: hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub have: Option<u64>,
    /// What is needed: hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub need: Option<u64>,
    /// What the first minutes of a new resource already allow to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<EarlyLook>,
}

/// A look a short way ahead, until there is enough for a forecast. A time that is not there lies beyond the reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyLook {
    /// How long samples go back, milliseconds.
    pub seen_ms: Millis,
    /// Up to when something is said.
    pub reach_ms: Millis,
    /// Early end of the interval.
    pub earliest_ms: Option<Millis>,
    /// When the threshold is likely passed.
    pub likely_ms: Option<Millis>,
    /// Late end of the interval.
    pub latest_ms: Option<Millis>,
}

impl Reason {
    /// A reason without numbers.
    #[must_use]
    pub fn plain(code: &str) -> Self {
        Self { code: code.to_owned(), have: None, need: None, early: None }
    }
}

/// A forecast that could be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// When the threshold is passed.
    pub crossing: Crossing,
    /// Probability of a breach within 7, 30 and 90 days.
    pub breach: [f64; 3],
    /// Model.
    pub model: String,
    /// Scaled error of the back-test.
    pub mase: Option<f64>,
    /// Percentage error of the back-test.
    pub smape: Option<f64>,
    /// Share of the back-test's values inside the 80 % interval.
    pub coverage: Option<f64>,
    /// Growth of the daily peaks since the last change, percent of the resource a day.
    pub trend_percent_per_day: f64,
    /// Whether that growth is significant.
    pub significant: bool,
    /// What was noticed.
    pub remarks: Vec<Remark>,
    /// The forecast at fixed distances.
    pub horizons: Vec<HorizonPoint>,
}

/// One evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Which resource.
    pub key: ResourceKey,
    /// When it was made.
    pub made_at_ms: Millis,
    /// End of the data that it stands on.
    pub data_end_ms: Millis,
    /// Hours with data.
    pub known_hours: u32,
    /// What 100 percent is: bytes, or 100.
    pub full: f64,
    /// Threshold in percent.
    pub threshold_percent: f64,
    /// Use then, or as last seen, in percent.
    pub current_percent: Option<f64>,
    /// What that is worth: of what is read from the records, no more than that it was so when it was made.
    pub standing: Standing,
    /// State for people.
    pub state: State,
    /// The forecast, or why there is none.
    pub outcome: Result<Made, Reason>,
}

impl Evaluation {
    /// Whether the use has reached its threshold: the one rule of what is exceeded now. What is late or of too few
    /// samples has not.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.standing == Standing::Firm
            && self.current_percent.is_some_and(|now| now >= self.threshold_percent)
    }

    /// When the threshold is passed; what is exceeded now is so without a forecast too.
    #[must_use]
    pub fn crossing(&self) -> Option<Crossing> {
        if self.is_exceeded() {
            return Some(Crossing::Past);
        }
        self.outcome.as_ref().ok().map(|made| made.crossing)
    }

    /// Sets the forecast against the use of `now_ms`, so that "passed" always means exceeded now, and finds the state.
    ///
    /// What stood above its threshold in the last whole hour and is below it now may be above it any moment; without new
    /// samples nobody knows.
    pub(super) fn settle(&mut self, now_ms: Millis, lead_ms: Millis) {
        let exceeded = self.is_exceeded();
        let firm = self.standing == Standing::Firm && self.current_percent.is_some();
        if let Ok(made) = &mut self.outcome {
            let past = made.crossing == Crossing::Past;
            if exceeded {
                made.crossing = Crossing::Past;
            } else if past && firm {
                let now = Some(now_ms);
                made.crossing = Crossing::Within { earliest_ms: now, likely_ms: now, latest_ms: now };
            } else if past {
                self.outcome = Err(Reason::plain("unconfirmed"));
            }
        }
        self.state = state(self.crossing().or_else(|| self.early_crossing()), now_ms, lead_ms);
    }

    /// What an early look sees within its reach. That it sees nothing is no reason to call the resource normal; and what
    /// comes and goes with the users is judged by a day at least, not by its peaks of minutes.
    fn early_crossing(&self) -> Option<Crossing> {
        if self.key.kind.series_kind() != SeriesKind::Stock {
            return None;
        }
        let look = self.outcome.as_ref().err()?.early?;
        look.likely_ms?;
        let EarlyLook { earliest_ms, likely_ms, latest_ms, .. } = look;
        Some(Crossing::Within { earliest_ms, likely_ms, latest_ms })
    }
}

/// Evaluates a resource. `lead_ms` is the time within which a date is a reason to act.
#[must_use]
pub fn evaluate(subject: &Subject, made_at_ms: Millis, lead_ms: Millis) -> (Evaluation, Option<Paths>) {
    let request = Request {
        series: &subject.history,
        horizon_hours: MAX_PATH_HOURS,
        threshold: Some(Threshold {
            value: subject.full * subject.threshold_percent / 100.0,
            direction: Direction::Above,
        }),
        bounds: Some((0.0, subject.full)),
        kind: subject.key.kind.series_kind(),
        known_events: &[],
    };
    let data_end_ms = subject.history.end_ms();
    let (outcome, paths) = match forecast(&request) {
        Ok(answer) => {
            let paths = percent_paths(&answer, subject.full);
            (Ok(made(&answer, &paths, subject.full, data_end_ms)), Some(paths))
        }
        Err(refusal) => (Err(Reason { early: look_early(subject), ..reason(&refusal) }), None),
    };
    let mut evaluation = Evaluation {
        key: subject.key.clone(),
        made_at_ms,
        data_end_ms,
        known_hours: known_hours(&subject.history),
        full: subject.full,
        threshold_percent: subject.threshold_percent,
        current_percent: subject.current_percent,
        standing: subject.standing,
        state: State::Unknown,
        outcome,
    };
    evaluation.settle(made_at_ms, lead_ms);
    (evaluation, paths)
}

/// What the minutes of a new resource allow to say.
fn look_early(subject: &Subject) -> Option<EarlyLook> {
    let limit = subject.full * subject.threshold_percent / 100.0;
    let found = early(&subject.recent, limit, subject.key.kind.series_kind())?;
    Some(EarlyLook {
        seen_ms: found.seen_ms,
        reach_ms: found.reach_ms,
        earliest_ms: found.earliest_ms,
        likely_ms: found.likely_ms,
        latest_ms: found.latest_ms,
    })
}

/// Hours with data of a series.
pub(super) fn known_hours(history: &HourlySeries) -> u32 {
    u32::try_from(history.known_hours()).unwrap_or(u32::MAX)
}

fn percent_paths(answer: &Forecast, full: f64) -> Paths {
    let percent = |path: &[f64]| path.iter().map(|value| value / full * 100.0).collect();
    Paths {
        start_ms: answer.start_ms,
        p10: percent(&answer.p10),
        p50: percent(&answer.p50),
        p90: percent(&answer.p90),
        peaks: answer.peaks.iter().map(|peak| peak.map(|value| value / full * 100.0)).collect(),
    }
}

fn made(answer: &Forecast, paths: &Paths, full: f64, data_end_ms: Millis) -> Made {
    #[expect(clippy::cast_possible_truncation, reason = "days of one year in milliseconds fit")]
    let date = |days: f64| data_end_ms + (days * DAY_MS as f64) as Millis;
    let breach = answer.breach_probability;
    Made {
        crossing: match answer.until {
            Until::AlreadyPast => Crossing::Past,
            Until::Never | Until::NotAsked => Crossing::Never,
            Until::Days { earliest, likely, latest } => Crossing::Within {
                earliest_ms: earliest.map(date),
                likely_ms: likely.map(date),
                latest_ms: latest.map(date),
            },
        },
        breach: [breach.d7, breach.d30, breach.d90],
        model: answer.model.as_str().to_owned(),
        mase: answer.backtest.mase,
        smape: answer.backtest.smape,
        coverage: answer.backtest.coverage_80,
        trend_percent_per_day: answer.trend_per_day / full * 100.0,
        significant: answer.trend_significant,
        remarks: answer.notes.iter().filter_map(|note| remark(note, full)).collect(),
        horizons: HORIZON_DAYS.iter().filter_map(|days| horizon(paths, *days)).collect(),
    }
}

fn horizon(paths: &Paths, days: u16) -> Option<HorizonPoint> {
    let [p10, p50, p90] = *paths.peaks.get(usize::from(days).checked_sub(1)?)?;
    Some(HorizonPoint { days, p10, p50, p90 })
}

fn remark(note: &Note, full: f64) -> Option<Remark> {
    let (code, at_ms, number) = match *note {
        Note::GapsFilled { hours } => ("gaps", None, Some(hours as f64)),
        Note::Stale { hours } => ("stale", None, Some(hours as f64)),
        Note::Outliers { count } => ("outliers", None, Some(count as f64)),
        Note::LevelShift { at_ms, size } => ("level_shift", Some(at_ms), Some(size / full * 100.0)),
        Note::Bend { at_ms } => ("bend", Some(at_ms), None),
        Note::SawTooth { period_days } => ("saw_tooth", None, Some(period_days)),
        Note::ShortHistory { days } => ("short_history", None, Some(days)),
        Note::LooksLikeCounter => ("counter", None, None),
        Note::Constant => ("constant", None, None),
        // A note that this program does not know has no text to show.
        _ => return None,
    };
    Some(Remark { code: code.to_owned(), at_ms, number })
}

fn reason(refusal: &Refusal) -> Reason {
    let (code, have, need) = match *refusal {
        Refusal::Empty | Refusal::AllGaps { .. } => ("too_short", Some(0), Some(MIN_KNOWN_HOURS)),
        Refusal::TooShort { have, need } => ("too_short", Some(have), Some(need)),
        Refusal::Stale { hours, limit } => ("stale", Some(hours), Some(limit)),
        Refusal::LooksLikeCounter => ("counter", None, None),
        _ => return Reason::plain("unusable"),
    };
    Reason { code: code.to_owned(), have: have.map(|n| n as u64), need: need.map(|n| n as u64), early: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::ResourceKind;
    use crate::time::HOUR_MS;

    const LEAD: Millis = 14 * DAY_MS;

    fn disk(values: Vec<f64>, current_percent: f64) -> Subject {
        Subject {
            key: ResourceKey {
                instance: "web".to_owned(),
                kind: ResourceKind::Filesystem,
                item: "/data".to_owned(),
            },
            full: 1_000.0,
            threshold_percent: 90.0,
            current_percent: Some(current_percent),
            standing: Standing::Firm,
            history: HourlySeries { start_ms: 0, values },
            recent: Vec::new(),
        }
    }

    #[test]
    fn a_disk_that_grows_steadily_gets_its_date() {
        // 60 days, 8 a day: at 680 of 1000, the 90 % are 27.5 days away.
        let values: Vec<f64> = (0..60 * 24).map(|h| 200.0 + f64::from(h) / 3.0).collect();
        let now = 60 * DAY_MS + HOUR_MS / 2;
        let (evaluation, paths) = evaluate(&disk(values, 68.0), now, LEAD);
        let made = evaluation.outcome.unwrap();
        let Crossing::Within { earliest_ms: Some(early), likely_ms: Some(likely), latest_ms: Some(late) } =
            made.crossing
        else {
            panic!("{:?}", made.crossing)
        };
        let days = (likely - 60 * DAY_MS) as f64 / DAY_MS as f64;
        assert!((days - 27.5).abs() < 1.5, "{days}");
        assert!(early <= likely && likely <= late);
        assert!(made.significant && (made.trend_percent_per_day - 0.8).abs() < 0.05);
        assert_eq!(evaluation.state, State::Normal);
        assert_eq!(evaluation.data_end_ms, 60 * DAY_MS);
        let paths = paths.unwrap();
        assert!(paths.p90.iter().all(|p| (0.0..=100.0).contains(p)));
        assert_eq!(made.horizons.len(), HORIZON_DAYS.len());
    }

    #[test]
    fn a_fresh_machine_gets_a_reason_and_no_number() {
        for hours in [0, 1, 5] {
            let (evaluation, paths) = evaluate(&disk(vec![400.0; hours], 40.0), 9 * HOUR_MS, LEAD);
            let reason = evaluation.outcome.unwrap_err();
            assert_eq!((reason.code.as_str(), reason.have), ("too_short", Some(hours as u64)));
            assert!(reason.need >= Some(24));
            assert_eq!(evaluation.state, State::Unknown);
            assert_eq!(evaluation.current_percent, Some(40.0));
            assert!(paths.is_none());
        }
    }

    #[test]
    fn a_new_disk_that_fills_fast_is_seen_within_minutes_and_a_quiet_one_is_not_called_normal() {
        let minute = |rise: f64| (0..=40).map(|m| (m * 60_000, 500.0 + rise * m as f64)).collect();
        let young = |rise| Subject { recent: minute(rise), ..disk(Vec::new(), 50.0) };
        let (filling, paths) = evaluate(&young(2.0), 41 * 60_000, LEAD);
        let look = filling.outcome.as_ref().unwrap_err().early.unwrap();
        // 500 of 1000 and 2 a minute: 900 after 200 minutes.
        let likely = look.likely_ms.unwrap();
        assert!((likely - 200 * 60_000).abs() < 20 * 60_000, "{likely}");
        assert_eq!((filling.state, paths), (State::Critical, None));
        let mut busy = young(2.0);
        busy.key.kind = ResourceKind::Cpu;
        assert_eq!(evaluate(&busy, 41 * 60_000, LEAD).0.state, State::Unknown, "a morning is no day");
        let (quiet, _) = evaluate(&young(0.0), 41 * 60_000, LEAD);
        let look = quiet.outcome.as_ref().unwrap_err().early.unwrap();
        assert_eq!((look.likely_ms, look.reach_ms), (None, 13 * 40 * 60_000));
        assert_eq!(quiet.state, State::Unknown);
    }

    #[test]
    fn what_is_past_its_threshold_now_is_critical_for_every_kind() {
        let mut busy = disk(Vec::new(), 100.0);
        for kind in ResourceKind::ALL {
            busy.key.kind = kind;
            assert_eq!(evaluate(&busy, 0, LEAD).0.state, State::Critical);
        }
    }

    #[test]
    fn a_disk_past_its_threshold_is_critical_with_and_without_history() {
        let (evaluation, _) = evaluate(&disk(vec![950.0; 24 * 14], 95.0), 14 * DAY_MS, LEAD);
        assert_eq!(evaluation.outcome.unwrap().crossing, Crossing::Past);
        assert_eq!(evaluation.state, State::Critical);
        let (evaluation, _) = evaluate(&disk(Vec::new(), 95.0), 0, LEAD);
        assert_eq!(evaluation.state, State::Critical);
    }

    #[test]
    fn passed_means_exceeded_now_whatever_the_last_hour_was() {
        let high = |standing, current| {
            let subject = Subject { standing, ..disk(vec![950.0; 24 * 14], current) };
            evaluate(&subject, 14 * DAY_MS, LEAD).0
        };
        let cleaned = high(Standing::Firm, 40.0);
        let at = Some(14 * DAY_MS);
        let any_moment = Crossing::Within { earliest_ms: at, likely_ms: at, latest_ms: at };
        assert_eq!((cleaned.crossing(), cleaned.state), (Some(any_moment), State::Critical));
        for standing in [Standing::Brief, Standing::Late { at_ms: 0 }] {
            let nobody_knows = high(standing, 95.0);
            assert_eq!((nobody_knows.crossing(), nobody_knows.state), (None, State::Unknown), "{standing:?}");
            assert_eq!(nobody_knows.outcome.unwrap_err().code, "unconfirmed");
            let young = Subject { standing, ..disk(vec![950.0; 3], 95.0) };
            let (young, _) = evaluate(&young, 3 * HOUR_MS, LEAD);
            assert_eq!((young.crossing(), young.state), (None, State::Unknown), "{standing:?}");
        }
    }
}
