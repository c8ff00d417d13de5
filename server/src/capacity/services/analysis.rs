//! How each component of a service follows its load, and how much load fits before its threshold. Pure.
//!
//! What comes and goes with the load (processors, memory, connections) is fitted hour by hour. What piles up (disks) is
//! fitted by what it grows in six hours, and its largest load is the one with which it lasts for the time that plans
//! reach.

use std::collections::BTreeMap;

use siaga_forecast::{
    EventEffect, Headroom, LoadFit, LoadRefusal, MAX_STRETCH, SeriesKind, event_effect, fit_load,
};

use super::definition::{Load, Part};
use crate::capacity::proposal::PLAN_AHEAD_DAYS;
use crate::time::{HOUR_MS, Millis};

/// Hours of a stretch in which growth is measured.
const GROWTH_HOURS: i64 = 6;
/// Stretches of a day.
const GROWTH_A_DAY: f64 = 24.0 / GROWTH_HOURS as f64;

/// Hours of a measure or a component: the end of each, and its value.
pub(super) type Hours = Vec<(Millis, f64)>;

/// A measure of load as measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MeasuredLoad {
    /// What was entered.
    pub(super) load: Load,
    /// Its hours, or why there are none.
    pub(super) hours: Result<Hours, String>,
}

/// A component as measured: its use in percent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MeasuredPart {
    /// What was entered.
    pub(super) part: Part,
    /// What 100 percent is.
    pub(super) full: f64,
    /// Threshold, percent.
    pub(super) threshold_percent: f64,
    /// Its hours, or why there are none.
    pub(super) hours: Result<Hours, String>,
}

/// Why something is not known; texts are in the catalogue under `capacity.service.why.CODE`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Why {
    /// It cannot be learned.
    Refused(LoadRefusal),
    /// It cannot be read; the message of what failed.
    Unreadable(String),
    /// It is not measured (any more).
    NotMeasured,
}

/// What is known of a measure of load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoadFigures {
    /// What was entered.
    pub(crate) load: Load,
    /// The newest hour.
    pub(crate) now: Option<f64>,
    /// The largest hour: what all statements start from.
    pub(crate) largest: Option<f64>,
    /// What one tender that closes adds in its hour.
    pub(crate) tender: Result<EventEffect, Why>,
    /// Why it cannot be used.
    pub(crate) why: Option<Why>,
}

/// How a component follows a load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Follows {
    /// Which measure, by its place.
    pub(crate) load: usize,
    /// The fit: of the use in percent, or of what is added to it in six hours.
    pub(crate) fit: LoadFit,
    /// Of what piles up: the loads of the last week, stretch by stretch.
    pub(crate) stretches: Option<Vec<f64>>,
    /// The largest load before the threshold, as likely as not.
    pub(crate) likely: Headroom,
    /// The same in nine of ten hours.
    pub(crate) cautious: Headroom,
}

impl Follows {
    /// Of what piles up: percent that are added in a day with so many times the load.
    pub(crate) fn growth_a_day(&self, factor: f64) -> Option<f64> {
        let stretches = self.stretches.as_ref()?;
        let sum: f64 = stretches.iter().map(|load| self.fit.used(load * factor)).sum();
        Some(sum / stretches.len() as f64 * GROWTH_A_DAY)
    }

    /// Of what piles up: days until a use is reached.
    pub(crate) fn days_until(&self, now: f64, threshold: f64, factor: f64) -> Option<f64> {
        let growth = self.growth_a_day(factor)?;
        if now >= threshold {
            return Some(0.0);
        }
        Some(if growth > 0.0 { (threshold - now) / growth } else { f64::INFINITY })
    }
}

/// What is known of a component.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PartFigures {
    /// What was entered.
    pub(crate) part: Part,
    /// What 100 percent is.
    pub(crate) full: f64,
    /// Threshold, percent.
    pub(crate) threshold_percent: f64,
    /// The newest hour, percent.
    pub(crate) now: Option<f64>,
    /// The largest hour, percent.
    pub(crate) largest: Option<f64>,
    /// How it follows the load that foretells it best.
    pub(crate) follows: Result<Follows, Why>,
}

impl PartFigures {
    /// Whether it piles up.
    pub(crate) fn is_stock(&self) -> bool {
        self.part.key().is_some_and(|key| key.kind.series_kind() == SeriesKind::Stock)
    }
}

/// Works a service out. `tenders` are the numbers of tenders that close, by the end of their hour.
pub(super) fn analyse(
    loads: Vec<MeasuredLoad>,
    parts: Vec<MeasuredPart>,
    tenders: &BTreeMap<Millis, u32>,
) -> (Vec<LoadFigures>, Vec<PartFigures>) {
    let loads_by_hour: Vec<BTreeMap<Millis, f64>> = loads
        .iter()
        .map(|load| load.hours.as_ref().map(|hours| hours.iter().copied().collect()).unwrap_or_default())
        .collect();
    let parts = parts.into_iter().map(|part| part_figures(part, &loads_by_hour)).collect();
    (loads.into_iter().map(|load| load_figures(load, tenders)).collect(), parts)
}

fn largest(hours: &[(Millis, f64)]) -> Option<f64> {
    hours.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).max_by(f64::total_cmp)
}

fn newest(hours: &[(Millis, f64)]) -> Option<f64> {
    hours.last().map(|(_, value)| *value).filter(|value| value.is_finite())
}

fn load_figures(measured: MeasuredLoad, tenders: &BTreeMap<Millis, u32>) -> LoadFigures {
    let MeasuredLoad { load, hours } = measured;
    let (hours, why) = match hours {
        Ok(hours) if hours.is_empty() => (hours, Some(Why::NotMeasured)),
        Ok(hours) => (hours, None),
        Err(message) => (Vec::new(), Some(Why::Unreadable(message))),
    };
    let tender = if load.query.is_empty() {
        // The measure counts tenders itself.
        Ok(EventEffect { each: 1.0, hours: hours.len() })
    } else {
        event_effect(&hours, tenders).map_err(Why::Refused)
    };
    LoadFigures { now: newest(&hours), largest: largest(&hours), tender, why, load }
}

fn part_figures(measured: MeasuredPart, loads: &[BTreeMap<Millis, f64>]) -> PartFigures {
    let MeasuredPart { part, full, threshold_percent, hours } = measured;
    let mut figures = PartFigures {
        part,
        full,
        threshold_percent,
        now: None,
        largest: None,
        follows: Err(Why::NotMeasured),
    };
    let hours = match hours {
        Ok(hours) if hours.is_empty() => return figures,
        Ok(hours) => hours,
        Err(message) => return PartFigures { follows: Err(Why::Unreadable(message)), ..figures },
    };
    figures.now = newest(&hours);
    figures.largest = largest(&hours);
    let stock = figures.is_stock();
    let mut best: Result<Follows, Why> = Err(Why::NotMeasured);
    for (at, load) in loads.iter().enumerate() {
        let fitted = if stock {
            stock_follows(at, &hours, load, threshold_percent)
        } else {
            flow_follows(at, &hours, load, threshold_percent)
        };
        let better = match (&fitted, &best) {
            (Ok(new), Ok(old)) => new.fit.explained > old.fit.explained,
            (Ok(_), Err(_)) => true,
            // The reason that is told is that of the first measure that was measured at all.
            (Err(_), Err(old)) => *old == Why::NotMeasured && !load.is_empty(),
            (Err(_), Ok(_)) => false,
        };
        if better {
            best = fitted;
        }
    }
    figures.follows = best;
    figures
}

fn flow_follows(
    at: usize,
    hours: &[(Millis, f64)],
    load: &BTreeMap<Millis, f64>,
    threshold: f64,
) -> Result<Follows, Why> {
    let pairs: Vec<(f64, f64)> =
        hours.iter().filter_map(|(end, used)| Some((*load.get(end)?, *used))).collect();
    let fit = fit_load(&pairs).map_err(Why::Refused)?;
    let (likely, cautious) = (fit.headroom(threshold, false), fit.headroom(threshold, true));
    Ok(Follows { load: at, fit, stretches: None, likely, cautious })
}

/// Growth of each stretch of six hours against its mean load.
fn stock_follows(
    at: usize,
    hours: &[(Millis, f64)],
    load: &BTreeMap<Millis, f64>,
    threshold: f64,
) -> Result<Follows, Why> {
    let step = GROWTH_HOURS * HOUR_MS;
    let used: BTreeMap<Millis, f64> =
        hours.iter().copied().filter(|(end, used)| end.rem_euclid(step) == 0 && used.is_finite()).collect();
    let mut pairs = Vec::new();
    for (end, now) in &used {
        let Some(before) = used.get(&(end - step)) else { continue };
        let loads: Vec<f64> = load
            .range(end - step + 1..=*end)
            .map(|(_, load)| *load)
            .filter(|load| load.is_finite())
            .collect();
        if loads.len() as i64 == GROWTH_HOURS {
            pairs.push((loads.iter().sum::<f64>() / loads.len() as f64, now - before));
        }
    }
    let fit = fit_load(&pairs).map_err(Why::Refused)?;
    let week = (7.0 * GROWTH_A_DAY) as usize;
    let stretches: Vec<f64> =
        pairs[pairs.len().saturating_sub(week)..].iter().map(|(load, _)| *load).collect();
    let mut follows = Follows {
        load: at,
        fit,
        stretches: Some(stretches),
        likely: Headroom::None,
        cautious: Headroom::None,
    };
    let now = used.values().next_back().copied().unwrap_or(f64::NAN);
    let largest = load.values().copied().filter(|load| load.is_finite()).fold(0.0, f64::max);
    follows.likely = lasts(&follows, now, threshold, largest);
    follows.cautious = follows.likely;
    Ok(follows)
}

/// The largest load, as the load of the busiest hour, with which what piles up lasts for the time that plans reach.
fn lasts(follows: &Follows, now: f64, threshold: f64, busiest: f64) -> Headroom {
    let enough = |factor: f64| {
        follows.days_until(now, threshold, factor).is_some_and(|days| days > f64::from(PLAN_AHEAD_DAYS))
    };
    if !enough(0.0) {
        return Headroom::None;
    }
    if enough(MAX_STRETCH) {
        return Headroom::Beyond(MAX_STRETCH);
    }
    let (mut low, mut high) = (0.0, MAX_STRETCH);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if enough(middle) { low = middle } else { high = middle }
    }
    Headroom::Load(low * busiest)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Four weeks of hours.
    const SPAN: i64 = 28 * 24;

    fn noise(n: i64) -> f64 {
        ((n * 7_919 + n * n * 31) % 1_009) as f64 / 1_009.0 - 0.5
    }

    fn load_at(hour: i64) -> f64 {
        20.0 + 80.0 * (-((hour % 24) as f64 - 13.0).powi(2) / 18.0).exp() * (1.0 + 0.1 * noise(hour))
    }

    fn hours(value: impl Fn(i64) -> f64) -> Hours {
        (0..SPAN).map(|hour| (hour * HOUR_MS, value(hour))).collect()
    }

    /// A service of a processor, a disk and one that does not follow.
    pub(in crate::capacity::services) fn example() -> (Vec<LoadFigures>, Vec<PartFigures>) {
        let part = |resource: &str, item: &str, pool: &str| Part {
            instance: "app-01".to_owned(),
            resource: resource.to_owned(),
            item: item.to_owned(),
            pool: pool.to_owned(),
            ..Part::default()
        };
        let measured = |part, threshold_percent, hours| MeasuredPart {
            part,
            full: 100.0,
            threshold_percent,
            hours: Ok(hours),
        };
        // What the disk takes is 0.01 percent for each ten of load and hour.
        let mut used = 30.0;
        let disk: Hours = (0..SPAN)
            .map(|hour| {
                used += load_at(hour) * 0.001;
                (hour * HOUR_MS, used)
            })
            .collect();
        let load = Load { name: "Permintaan".to_owned(), unit: "/s".to_owned(), query: "x".to_owned() };
        let other = Load { name: "Lain".to_owned(), ..load.clone() };
        analyse(
            vec![
                MeasuredLoad { load: other, hours: Ok(hours(|hour| 50.0 + 30.0 * noise(hour * 3))) },
                MeasuredLoad { load, hours: Ok(hours(load_at)) },
            ],
            vec![
                measured(
                    part("cpu", "", "app"),
                    85.0,
                    hours(|hour| 5.0 + 0.5 * load_at(hour) + noise(hour + 7)),
                ),
                measured(part("filesystem", "/data", ""), 90.0, disk),
                measured(part("memory", "", ""), 90.0, hours(|hour| 40.0 + noise(hour + 3))),
            ],
            &BTreeMap::new(),
        )
    }

    #[test]
    fn each_component_follows_the_load_that_foretells_it_best() {
        let (loads, parts) = example();
        let cpu = parts[0].follows.as_ref().unwrap();
        assert_eq!(cpu.load, 1, "{cpu:?}");
        let Headroom::Load(load) = cpu.likely else { panic!("{cpu:?}") };
        assert!((load - 160.0).abs() < 8.0, "{load}");
        assert!(loads[1].largest.unwrap() < 110.0);
        assert_eq!(parts[2].follows, Err(Why::Refused(LoadRefusal::NoRelation)));
    }

    #[test]
    fn a_disk_lasts_for_as_long_as_its_growth_with_the_load_says() {
        let (loads, parts) = example();
        let disk = parts[1].follows.as_ref().unwrap();
        let mean: f64 = (0..24).map(load_at).sum::<f64>() / 24.0;
        let growth = disk.growth_a_day(1.0).unwrap();
        assert!((growth - 24.0 * mean * 0.001).abs() < 0.05, "{growth}");
        let (now, then) = (parts[1].now.unwrap(), disk.growth_a_day(2.0).unwrap());
        assert!((then - 2.0 * growth).abs() < 0.1, "{then}");
        let days = disk.days_until(now, 90.0, 2.0).unwrap();
        assert!((days - (90.0 - now) / then).abs() < 1e-9);
        assert_eq!(disk.days_until(95.0, 90.0, 1.0), Some(0.0));
        // With the load of today it does not last for 90 days; with less than half of it, it would.
        let Headroom::Load(load) = disk.likely else { panic!("{disk:?}") };
        let wanted = (90.0 - now) / 90.0 / growth;
        assert!((load / loads[1].largest.unwrap() - wanted).abs() < 0.05, "{load}");
    }

    #[test]
    fn what_was_not_measured_or_cannot_be_read_says_so() {
        let load = Load { query: "x".to_owned(), ..Load::default() };
        let part = Part { name: "a".to_owned(), query: "y".to_owned(), ..Part::default() };
        let one = |hours| MeasuredPart { part: part.clone(), full: 1.0, threshold_percent: 80.0, hours };
        let (loads, parts) = analyse(
            vec![
                MeasuredLoad { load: load.clone(), hours: Err("no such function".to_owned()) },
                MeasuredLoad { load, hours: Ok(Vec::new()) },
            ],
            vec![one(Ok(hours(|_| 1.0))), one(Ok(Vec::new())), one(Err("broken".to_owned()))],
            &BTreeMap::new(),
        );
        assert_eq!(loads[0].why, Some(Why::Unreadable("no such function".to_owned())));
        assert_eq!((&loads[1].why, loads[1].largest), (&Some(Why::NotMeasured), None));
        assert!(parts.iter().all(|part| part.follows.is_err()));
        assert_eq!(parts[2].follows, Err(Why::Unreadable("broken".to_owned())));
    }
}
