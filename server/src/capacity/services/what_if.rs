//! What would be: more load, fewer servers, tenders that close at the same time, more capacity. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use siaga_forecast::{Headroom, MAX_STRETCH};

use super::analysis::{LoadFigures, PartFigures, Why};
use super::definition::Service;

/// Most tenders that are asked about.
const MAX_TENDERS: u32 = 10_000;
/// Most that a component is enlarged to, times what it is.
const MAX_ADDED: f64 = 1_000.0;

/// A question.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WhatIf {
    /// Times the load of the busiest hour.
    pub(crate) load_factor: f64,
    /// Servers that are missing in each pool.
    pub(crate) servers_less: BTreeMap<String, u32>,
    /// Tenders that close in the same hour, beside that load.
    pub(crate) tenders: u32,
    /// What is added to components, by their identity, in the unit of their capacity: bytes for filesystems, percent
    /// of today's for processors, memory, inodes and quotas.
    pub(crate) added: BTreeMap<String, f64>,
}

impl Default for WhatIf {
    fn default() -> Self {
        Self { load_factor: 1.0, servers_less: BTreeMap::new(), tenders: 0, added: BTreeMap::new() }
    }
}

/// Why a question cannot be answered at all: the field, and why.
pub(super) type Flaw = (&'static str, String);

impl WhatIf {
    /// Whether it fits the service.
    ///
    /// # Errors
    /// The field that is wrong, and why.
    pub(super) fn check(&self, service: &Service) -> Result<(), Flaw> {
        if !(0.0..=MAX_STRETCH).contains(&self.load_factor) {
            return Err(("load_factor", format!("0 to {MAX_STRETCH} is wanted")));
        }
        if self.tenders > MAX_TENDERS {
            return Err(("tenders", format!("at most {MAX_TENDERS} are taken")));
        }
        for (pool, less) in &self.servers_less {
            let size = service.pool_size(pool);
            if size == 0 {
                return Err(("servers_less", format!("there is no pool {pool:?}")));
            }
            if usize::try_from(*less).unwrap_or(usize::MAX) >= size {
                return Err((
                    "servers_less",
                    format!("pool {pool:?} has {size} servers, at least one must stay"),
                ));
            }
        }
        for (id, added) in &self.added {
            if !service.parts.iter().any(|part| part.id() == *id) {
                return Err(("added", format!("there is no component {id:?}")));
            }
            if !(added.is_finite() && *added >= 0.0) {
                return Err(("added", "a number that is not negative is wanted".to_owned()));
            }
        }
        Ok(())
    }

    /// How many times the load each server of a component's pool then has.
    fn shared(&self, service: &Service, pool: &str) -> f64 {
        let less = self.servers_less.get(pool).copied().unwrap_or(0);
        let size = service.pool_size(pool) as f64;
        if less == 0 { 1.0 } else { size / (size - f64::from(less)) }
    }
}

/// What would become of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// The threshold would be reached, as likely as not.
    Exceeded,
    /// It would be reached in more than one of ten hours.
    Close,
    /// It would not.
    Fits,
}

impl Verdict {
    /// Code in the API and in texts.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Exceeded => "exceeded",
            Self::Close => "close",
            Self::Fits => "fits",
        }
    }
}

/// What would be of a component, in figures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// The load of the busiest hour, and what it would be.
    pub(crate) load: [f64; 2],
    /// Use at that load, percent of the capacity of each case; of what piles up the growth a day.
    pub(crate) used: [f64; 2],
    /// Use that nine of ten hours would stay below; none for what piles up.
    pub(crate) at_most: Option<f64>,
    /// Of what piles up: days until the threshold today, and then.
    pub(crate) days: Option<[f64; 2]>,
    /// What would become of it.
    pub(crate) verdict: Verdict,
}

/// Why there is no figure for a component.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NoOutcome {
    /// It is not known how it follows a load.
    Why(Why),
    /// What one tender adds to the load is not known.
    Tender(Why),
    /// The load would be so many times what was measured.
    TooFar(f64),
}

/// Answers for each component, in their order.
pub(super) fn answer(
    service: &Service,
    loads: &[LoadFigures],
    parts: &[PartFigures],
    question: &WhatIf,
) -> Vec<Result<Outcome, NoOutcome>> {
    parts.iter().map(|part| of_part(service, loads, part, question)).collect()
}

fn of_part(
    service: &Service,
    loads: &[LoadFigures],
    part: &PartFigures,
    question: &WhatIf,
) -> Result<Outcome, NoOutcome> {
    let follows = part.follows.as_ref().map_err(|why| NoOutcome::Why(why.clone()))?;
    let Some((load, busiest)) = loads.get(follows.load).and_then(|load| Some((load, load.largest?))) else {
        return Err(NoOutcome::Why(Why::NotMeasured));
    };
    let mut then = busiest * question.load_factor;
    if question.tenders > 0 {
        let each = load.tender.as_ref().map_err(|why| NoOutcome::Tender(why.clone()))?.each;
        then += each * f64::from(question.tenders);
    }
    then *= question.shared(service, &part.part.pool);
    let factor = if busiest > 0.0 { then / busiest } else { 1.0 };
    if factor > MAX_STRETCH {
        return Err(NoOutcome::TooFar(factor));
    }
    let added = question.added.get(&part.part.id()).copied().unwrap_or(0.0) / part.full;
    let capacity = 1.0 + added.min(MAX_ADDED);
    if part.is_stock() {
        let now = part.now.ok_or(NoOutcome::Why(Why::NotMeasured))?;
        let growth = |factor| follows.growth_a_day(factor).unwrap_or(f64::NAN);
        // What is added changes the shares, not the bytes.
        let threshold_then = part.threshold_percent * capacity;
        let days = [
            follows.days_until(now, part.threshold_percent, 1.0).unwrap_or(f64::NAN),
            follows.days_until(now, threshold_then, factor).unwrap_or(f64::NAN),
        ];
        let reach = f64::from(crate::capacity::proposal::PLAN_AHEAD_DAYS);
        let verdict = match days[1] {
            days if days <= 0.0 => Verdict::Exceeded,
            days if days <= reach => Verdict::Close,
            _ => Verdict::Fits,
        };
        return Ok(Outcome {
            load: [busiest, then],
            used: [growth(1.0), growth(factor) / capacity],
            at_most: None,
            days: Some(days),
            verdict,
        });
    }
    let used = [follows.fit.used(busiest), follows.fit.used(then) / capacity];
    let at_most = follows.fit.used_at_most(then) / capacity;
    let saturated = matches!(follows.likely, Headroom::Saturates(at) if then > at);
    let verdict = if used[1] >= part.threshold_percent || saturated {
        Verdict::Exceeded
    } else if at_most >= part.threshold_percent {
        Verdict::Close
    } else {
        Verdict::Fits
    };
    Ok(Outcome { load: [busiest, then], used, at_most: Some(at_most), days: None, verdict })
}

#[cfg(test)]
mod tests {
    use super::super::analysis::tests::example;
    use super::super::definition::Part;
    use super::*;
    use siaga_forecast::EventEffect;

    fn service(parts: &[PartFigures]) -> Service {
        let mut all: Vec<Part> = parts.iter().map(|part| part.part.clone()).collect();
        all.push(Part { instance: "app-02".to_owned(), ..all[0].clone() });
        Service { name: "SPSE".to_owned(), parts: all, ..Service::default() }
    }

    fn ask(question: &WhatIf) -> Vec<Result<Outcome, NoOutcome>> {
        let (mut loads, parts) = example();
        loads[1].tender = Ok(EventEffect { each: 6.0, hours: 9 });
        let service = service(&parts);
        question.check(&service).unwrap();
        answer(&service, &loads, &parts, question)
    }

    #[test]
    fn half_as_much_again_a_server_less_and_ten_tenders_are_answered() {
        let today = ask(&WhatIf::default());
        let cpu = today[0].as_ref().unwrap();
        assert_eq!((cpu.load[0], cpu.verdict), (cpu.load[1], Verdict::Fits));
        let busiest = cpu.load[0];
        let of = |question: WhatIf| ask(&question)[0].clone().unwrap();
        let more = of(WhatIf { load_factor: 1.5, ..WhatIf::default() });
        assert!((more.used[1] - (5.0 + 0.75 * busiest)).abs() < 2.0, "{more:?}");
        let less = of(WhatIf { servers_less: [("app".to_owned(), 1)].into(), ..WhatIf::default() });
        assert!((less.load[1] - 2.0 * busiest).abs() < 1e-9);
        assert_eq!(less.verdict, Verdict::Exceeded, "{less:?}");
        let tenders = of(WhatIf { tenders: 10, ..WhatIf::default() });
        assert!((tenders.load[1] - busiest - 60.0).abs() < 1e-9);
        let doubled = WhatIf {
            load_factor: 2.0,
            added: [("app-01/cpu".to_owned(), 100.0)].into(),
            ..WhatIf::default()
        };
        assert!((of(doubled).used[1] - cpu.used[0]).abs() < 5.0);
    }

    #[test]
    fn a_disk_that_is_added_gives_days() {
        let today = ask(&WhatIf::default())[1].clone().unwrap();
        let added =
            WhatIf { added: [("app-01/filesystem:/data".to_owned(), 100.0)].into(), ..WhatIf::default() };
        let then = ask(&added)[1].clone().unwrap();
        let (before, after) = (today.days.unwrap(), then.days.unwrap());
        assert_eq!(before[0], after[0]);
        // 90 percent more room, at the same growth.
        assert!((after[1] - before[0] - 90.0 / today.used[0]).abs() < 1e-6, "{before:?} {after:?}");
        assert!((then.used[1] * 2.0 - today.used[0]).abs() < 1e-9);
    }

    #[test]
    fn what_is_not_known_gets_no_figure() {
        let (loads, parts) = example();
        let service = service(&parts);
        let ask = |question: &WhatIf| answer(&service, &loads, &parts, question);
        assert!(matches!(ask(&WhatIf::default())[2], Err(NoOutcome::Why(Why::Refused(_)))));
        let tenders = WhatIf { tenders: 1, ..WhatIf::default() };
        assert!(matches!(ask(&tenders)[0], Err(NoOutcome::Tender(Why::Refused(_)))));
        let far =
            WhatIf { load_factor: 4.0, servers_less: [("app".to_owned(), 1)].into(), ..WhatIf::default() };
        assert!(matches!(ask(&far)[0], Err(NoOutcome::TooFar(factor)) if (factor - 8.0).abs() < 1e-9));
    }

    #[test]
    fn a_question_that_does_not_fit_the_service_is_refused_by_field() {
        let (_, parts) = example();
        let service = service(&parts);
        let less =
            |pool: &str, n| WhatIf { servers_less: [(pool.to_owned(), n)].into(), ..WhatIf::default() };
        let added = |id: &str, n| WhatIf { added: [(id.to_owned(), n)].into(), ..WhatIf::default() };
        for (question, field) in [
            (WhatIf { load_factor: -1.0, ..WhatIf::default() }, "load_factor"),
            (WhatIf { load_factor: f64::NAN, ..WhatIf::default() }, "load_factor"),
            (WhatIf { tenders: MAX_TENDERS + 1, ..WhatIf::default() }, "tenders"),
            (less("app", 2), "servers_less"),
            (less("db", 1), "servers_less"),
            (added("x", 1.0), "added"),
            (added("app-01/cpu", f64::NAN), "added"),
        ] {
            assert_eq!(question.check(&service).unwrap_err().0, field, "{question:?}");
        }
    }
}
