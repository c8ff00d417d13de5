//! When drills are due. Pure: times are passed in.
//!
//! Invariants: an instant is handled once; what passed while nobody could start it is counted as missed and never
//! made up for in a burst.

use std::time::Duration;

use cronexpr::{Crontab, MakeTimestamp};
use jiff::Timestamp;

use crate::capacity::{EventCategory, KnownEvent};
use crate::time::{Millis, millis};

/// Instants that one look considers at most; a schedule that missed more says so with this number.
pub const MAX_INSTANTS: usize = 1_000;

/// Instants ahead that are held against blackouts when a plan is checked.
const LOOK_AHEAD: usize = 100;

/// A calendar rule: five fields of cron in a time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    crontab: Crontab,
}

impl Schedule {
    /// Reads minute, hour, day of the month, month and day of the week, in the named zone.
    ///
    /// # Errors
    /// What is wrong with them, one line.
    pub fn parse(fields: &str, zone: &str) -> Result<Self, String> {
        let crontab = cronexpr::parse_crontab(&format!("{} {zone}", fields.trim())).map_err(|error| {
            error.to_string().lines().last().unwrap_or("not a cron rule").trim().to_owned()
        })?;
        Ok(Self { text: fields.trim().to_owned(), crontab })
    }

    /// The five fields as they were written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first instant after `after_ms`; none within four years means never.
    #[must_use]
    pub fn next_after(&self, after_ms: Millis) -> Option<Millis> {
        let after = Timestamp::from_millisecond(after_ms).ok()?;
        self.crontab.find_next(MakeTimestamp(after)).ok().map(|at| at.timestamp().as_millisecond())
    }

    /// Instants in `(after_ms, until_ms]`, oldest first, at most [`MAX_INSTANTS`].
    fn between(&self, after_ms: Millis, until_ms: Millis) -> Vec<Millis> {
        std::iter::successors(self.next_after(after_ms), |at| self.next_after(*at))
            .take_while(|at| *at <= until_ms)
            .take(MAX_INSTANTS)
            .collect()
    }
}

/// When no drill starts by itself.
#[derive(Debug, Clone)]
pub struct Blackout {
    /// Why, for people.
    pub name: String,
    /// The known event that it stands for.
    pub event: Option<String>,
    /// When.
    pub when: BlackoutTime,
}

/// Time of a blackout.
#[derive(Debug, Clone)]
pub enum BlackoutTime {
    /// Once: from the first instant to before the second.
    Once(Millis, Millis),
    /// From each instant of the rule on, for a length of time.
    Recurring(Schedule, Duration),
    /// Around each known event of these categories. Covers nothing itself: see [`with_events`].
    Events {
        /// Sorts of events.
        categories: Vec<EventCategory>,
        /// From so long before each.
        before: Duration,
        /// Until so long after each.
        after: Duration,
    },
    /// While an incident of high priority is open, which no calendar tells.
    HighIncidents,
}

impl Blackout {
    /// Whether it covers an instant.
    #[must_use]
    pub fn covers(&self, at_ms: Millis) -> bool {
        match &self.when {
            BlackoutTime::Once(from, to) => (*from..*to).contains(&at_ms),
            BlackoutTime::Recurring(rule, lasts) => {
                rule.next_after(at_ms - millis(*lasts)).is_some_and(|start| start <= at_ms)
            }
            BlackoutTime::Events { .. } | BlackoutTime::HighIncidents => false,
        }
    }
}

/// Blackouts with their dates: those around known events become one for each event.
#[must_use]
pub fn with_events(blackouts: &[Blackout], events: &[KnownEvent]) -> Vec<Blackout> {
    let dated = |blackout: &Blackout| -> Vec<Blackout> {
        let BlackoutTime::Events { categories, before, after } = &blackout.when else {
            return vec![blackout.clone()];
        };
        let around = |event: &KnownEvent| Blackout {
            name: blackout.name.clone(),
            event: Some(event.name.clone()),
            // An event of one instant counts too, hence the millisecond.
            when: BlackoutTime::Once(event.from_ms - millis(*before), event.to_ms + millis(*after) + 1),
        };
        events.iter().filter(|event| categories.contains(&event.category)).map(around).collect()
    };
    blackouts.iter().flat_map(dated).collect()
}

/// The blackout that covers an instant.
#[must_use]
pub fn blackout_at(blackouts: &[Blackout], at_ms: Millis) -> Option<&Blackout> {
    blackouts.iter().find(|blackout| blackout.covers(at_ms))
}

/// The next instant that no blackout covers; `None` if there is none among the next ones.
#[must_use]
pub fn next_allowed(schedule: &Schedule, blackouts: &[Blackout], after_ms: Millis) -> Option<Millis> {
    std::iter::successors(schedule.next_after(after_ms), |at| schedule.next_after(*at))
        .take(LOOK_AHEAD)
        .find(|at| blackout_at(blackouts, *at).is_none())
}

/// What a schedule asks for now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// The instant for which a drill is to start now.
    pub run: Option<Millis>,
    /// Instants that passed, oldest first.
    pub missed: Vec<Millis>,
    /// Instants that a blackout covers, with its name, oldest first.
    pub skipped: Vec<(Millis, String)>,
}

/// What is due in `(handled_until_ms, now_ms]`. Only the newest instant starts a drill, and only while it is not older
/// than `grace_ms`.
#[must_use]
pub fn due(
    schedule: &Schedule,
    blackouts: &[Blackout],
    handled_until_ms: Millis,
    now_ms: Millis,
    grace_ms: Millis,
) -> Due {
    let mut due = Due::default();
    for at in schedule.between(handled_until_ms, now_ms) {
        match blackout_at(blackouts, at) {
            Some(blackout) => due.skipped.push((at, blackout.name.clone())),
            None => due.missed.push(at),
        }
    }
    if due.missed.last().is_some_and(|at| now_ms - at <= grace_ms) {
        due.run = due.missed.pop();
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DAY_MS, HOUR_MS};

    fn at(text: &str) -> Millis {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn nine_daily() -> Schedule {
        Schedule::parse("0 9 * * *", "Asia/Jakarta").unwrap()
    }

    #[test]
    fn a_rule_is_read_in_its_zone() {
        assert_eq!(nine_daily().next_after(at("2026-11-24T01:59:00Z")), Some(at("2026-11-24T02:00:00Z")));
        assert!(Schedule::parse("0 25 * * *", "Asia/Jakarta").is_err());
        assert!(Schedule::parse("0 9 * *", "Asia/Jakarta").is_err());
        assert!(Schedule::parse("0 9 * * *", "Asia/Nowhere").is_err());
        assert_eq!(Schedule::parse("0 0 30 2 *", "UTC").unwrap().next_after(0), None);
    }

    #[test]
    fn only_the_newest_instant_in_time_starts_a_drill_and_older_ones_are_missed() {
        let handled = at("2026-11-21T02:00:00Z");
        let now = at("2026-11-24T02:00:10Z");
        let due = due(&nine_daily(), &[], handled, now, 60_000);
        assert_eq!(due.run, Some(at("2026-11-24T02:00:00Z")));
        assert_eq!(due.missed, [at("2026-11-22T02:00:00Z"), at("2026-11-23T02:00:00Z")]);
    }

    #[test]
    fn after_the_grace_time_nothing_starts() {
        let due = due(&nine_daily(), &[], at("2026-11-23T02:00:00Z"), at("2026-11-24T02:01:01Z"), 60_000);
        assert_eq!(due, Due { run: None, missed: vec![at("2026-11-24T02:00:00Z")], skipped: vec![] });
    }

    #[test]
    fn a_handled_instant_is_not_due_again() {
        let handled = at("2026-11-24T02:00:00Z");
        assert_eq!(due(&nine_daily(), &[], handled, handled + 1_000, 60_000), Due::default());
    }

    #[test]
    fn blackouts_cover_their_times_and_the_next_date_lies_outside() {
        let start = at("2026-11-24T00:00:00Z");
        let once = Blackout {
            name: "tender".to_owned(),
            event: None,
            when: BlackoutTime::Once(start, start + 2 * DAY_MS),
        };
        let nightly = Schedule::parse("0 22 * * *", "Asia/Jakarta").unwrap();
        let night = Blackout {
            name: "night".to_owned(),
            event: None,
            when: BlackoutTime::Recurring(nightly, Duration::from_secs(8 * 3_600)),
        };
        assert!(night.covers(at("2026-11-24T15:00:00Z")), "its first instant");
        assert!(night.covers(at("2026-11-24T22:59:59Z")));
        assert!(!night.covers(at("2026-11-24T15:00:00Z") + 8 * HOUR_MS));
        assert!(!night.covers(at("2026-11-24T14:59:59Z")));
        let blackouts = [once, night];
        let next = next_allowed(&nine_daily(), &blackouts, start).unwrap();
        assert_eq!(next, at("2026-11-26T02:00:00Z"));
        let due = due(&nine_daily(), &blackouts, start, start + 3 * HOUR_MS, 4 * HOUR_MS);
        assert_eq!(due.skipped, [(at("2026-11-24T02:00:00Z"), "tender".to_owned())]);
        assert_eq!(due.run, None);
    }

    #[test]
    fn known_events_of_its_categories_become_dates_with_their_margins_and_others_do_not() {
        let event = |category, name: &str, from: &str, to: &str| KnownEvent {
            id: None,
            category,
            name: name.to_owned(),
            from_ms: at(from),
            to_ms: at(to),
            source: String::new(),
        };
        let deadline = "2026-11-25T07:00:00Z";
        let events = [
            event(EventCategory::Tender, "Paket A", deadline, deadline),
            event(EventCategory::Other, "Rapat", "2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z"),
        ];
        let (before, after) = (Duration::from_secs(86_400), Duration::from_secs(3_600));
        let when = BlackoutTime::Events { categories: vec![EventCategory::Tender], before, after };
        let blackouts = [Blackout { name: "Tenggat".to_owned(), event: None, when }];
        assert!(blackout_at(&blackouts, at(deadline)).is_none(), "without events nothing is known");
        let dated = with_events(&blackouts, &events);
        for (instant, wanted) in [
            ("2026-11-24T06:59:59Z", false),
            ("2026-11-24T07:00:00Z", true),
            (deadline, true),
            ("2026-11-25T08:00:00Z", true),
            ("2026-11-25T08:00:01Z", false),
            ("2026-11-26T12:00:00Z", false),
        ] {
            let found = blackout_at(&dated, at(instant));
            assert_eq!(found.map(|one| one.event.as_deref()), wanted.then_some(Some("Paket A")), "{instant}");
        }
        assert_eq!(
            next_allowed(&nine_daily(), &dated, at("2026-11-24T03:00:00Z")),
            Some(at("2026-11-26T02:00:00Z"))
        );
    }
}
