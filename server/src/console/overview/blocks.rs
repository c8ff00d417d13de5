//! Cards and short lists of the overview, one pair for each capability.

use crate::app::App;
use crate::capacity::views as capacity_views;
use crate::capacity::{Crossing, State as CapacityState, newest};
use crate::console::Page;
use crate::console::servers::{Fleet, HostState};
use crate::continuity::glance;
use crate::http::ApiError;
use crate::incidents::Priority;
use crate::incidents::pages as incident_views;
use crate::records::RecordsError;
use crate::records::incidents::{self, Filter, Incident, StateFilter};
use crate::time::Millis;

/// Rows of a block; the page behind it has all.
const MAX_ROWS: u32 = 5;

/// A figure that leads on.
pub(super) struct Card {
    pub(super) href: &'static str,
    pub(super) class: &'static str,
    pub(super) label: String,
    pub(super) figure: String,
    pub(super) note: String,
}

/// A short list that leads on.
pub(super) struct Block {
    pub(super) title: String,
    pub(super) href: &'static str,
    pub(super) rows: Vec<BlockRow>,
    /// What it says without a row.
    pub(super) empty: String,
}

/// A row of a block.
pub(in crate::console) struct BlockRow {
    pub(in crate::console) class: &'static str,
    pub(in crate::console) state: String,
    pub(in crate::console) href: String,
    pub(in crate::console) title: String,
    pub(in crate::console) note: String,
}

/// How many servers are heard.
pub(super) fn servers(page: &Page, fleet: &Fleet) -> Card {
    let silent = fleet.count(HostState::Silent);
    let (class, note) = match (fleet.rows.len(), silent) {
        (0, _) => ("unknown", page.t("servers.none")),
        (_, 0) => ("ok", page.t("overview.all_heard")),
        _ => ("crit", page.tv("overview.silent", &[("n", &silent.to_string())])),
    };
    Card {
        href: "/server",
        class,
        label: page.t("overview.servers_heard"),
        figure: format!("{} / {}", fleet.rows.len() - silent, fleet.rows.len()),
        note,
    }
}

/// The limits that will be met first.
pub(super) async fn capacity(app: &App, page: &Page, now: Millis) -> Result<(Card, Block), ApiError> {
    let (latest, _) = newest(app).await?;
    let forecast = latest.iter().any(|latest| latest.evaluation.outcome.is_ok());
    let near: Vec<_> = latest
        .iter()
        .map(|latest| &latest.evaluation)
        .filter_map(|evaluation| match evaluation.outcome.as_ref().map(|made| made.crossing) {
            Ok(Crossing::Within { likely_ms: Some(likely), .. }) => Some((evaluation, Some(likely))),
            Ok(Crossing::Past) => Some((evaluation, None)),
            // Past its limit before there is enough history for a forecast.
            Err(_) if evaluation.state == CapacityState::Critical => Some((evaluation, None)),
            _ => None,
        })
        .take(MAX_ROWS as usize)
        .collect();
    let when = |likely: Option<Millis>| match likely {
        Some(likely) => capacity_views::date(page, Some(likely), now),
        None => page.t("overview.limit_passed"),
    };
    let rows = near
        .iter()
        .map(|(evaluation, likely)| BlockRow {
            class: evaluation.state.badge(),
            state: page.t(&format!("capacity.state.{}", evaluation.state.code())),
            href: capacity_views::address(&evaluation.key),
            title: format!(
                "{}: {}",
                evaluation.key.instance,
                capacity_views::resource_name(page, &evaluation.key)
            ),
            note: when(*likely),
        })
        .collect();
    let block = Block {
        title: page.t("overview.limits"),
        href: "/kapasitas",
        rows,
        empty: page.t(if forecast { "overview.no_limit" } else { "overview.no_forecast" }),
    };
    let first = near.first();
    let card = Card {
        href: "/kapasitas",
        class: first
            .map_or(if forecast { "ok" } else { "unknown" }, |(evaluation, _)| evaluation.state.badge()),
        label: page.t("overview.nearest_limit"),
        figure: match first {
            Some((_, Some(likely))) => page.duration((likely - now).max(0)),
            Some((_, None)) => page.t("overview.limit_passed"),
            None if forecast => page.t("overview.beyond_a_year"),
            None => "–".to_owned(),
        },
        note: first.map_or_else(
            || block.empty.clone(),
            |(evaluation, _)| {
                format!(
                    "{}: {}",
                    evaluation.key.instance,
                    capacity_views::resource_name(page, &evaluation.key)
                )
            },
        ),
    };
    Ok((card, block))
}

/// The next and the latest drills.
pub(super) async fn continuity(app: &App, page: &Page, now: Millis) -> Result<(Card, Block), ApiError> {
    let glance = glance(app, page, MAX_ROWS, now).await?;
    let rows: Vec<BlockRow> = glance
        .latest
        .iter()
        .map(|drill| BlockRow {
            class: drill.badge,
            state: drill.status.clone(),
            href: drill.address.clone(),
            title: drill.name.clone(),
            note: match &drill.recovery {
                Some(recovery) => page.tv(
                    "overview.drill_recovered",
                    &[("date", &page.date(drill.at_ms)), ("recovery", recovery)],
                ),
                None => page.date(drill.at_ms),
            },
        })
        .collect();
    let card = Card {
        href: "/kelangsungan",
        class: glance.latest.first().map_or("unknown", |drill| drill.badge),
        label: page.t("overview.next_drill"),
        figure: match &glance.next {
            Some((at, _)) => page.tv("overview.in", &[("duration", &page.duration(at - now))]),
            None => "–".to_owned(),
        },
        note: match (&glance.next, glance.latest.first()) {
            (Some((_, plan)), None) => plan.clone(),
            (_, Some(drill)) => page.tv(
                "overview.last_drill",
                &[("status", &drill.status), ("ago", &page.ago(drill.at_ms, now))],
            ),
            (None, None) => page.t("overview.no_drill"),
        },
    };
    let block = Block {
        title: page.t("overview.drills"),
        href: "/kelangsungan",
        rows,
        empty: page.t("overview.no_drill"),
    };
    Ok((card, block))
}

/// Open incidents: how many of each priority, and the first ones of the queue.
pub(super) async fn incidents(app: &App, page: &Page, now: Millis) -> Result<(Card, Block), ApiError> {
    let read = |db: &crate::records::rusqlite::Transaction<'_>| {
        let filter = Filter { state: Some(StateFilter::Open), ..Filter::default() };
        Ok::<_, RecordsError>((incidents::count_open(db)?, incidents::queue(db, &filter, MAX_ROWS, 0)?))
    };
    let (counts, queue) = app.records.run(read).await?;
    let of = |priority: Priority| {
        counts.iter().filter(|(found, _)| *found == priority).map(|(_, count)| count).sum::<u64>()
    };
    let by_priority: Vec<String> = [Priority::High, Priority::Medium, Priority::Low]
        .into_iter()
        .filter(|priority| of(*priority) > 0)
        .map(|priority| format!("{} {}", of(priority), incident_views::priority_name(page, priority)))
        .collect();
    let worst =
        [Priority::High, Priority::Medium, Priority::Low].into_iter().find(|priority| of(*priority) > 0);
    let card = Card {
        href: "/insiden?status=open",
        class: worst.map_or("ok", incident_views::priority_class),
        label: page.t("overview.open_incidents"),
        figure: counts.iter().map(|(_, count)| count).sum::<u64>().to_string(),
        note: if by_priority.is_empty() { page.t("overview.no_incident") } else { by_priority.join(", ") },
    };
    let rows = queue.iter().map(|incident| incident_row(page, incident, now)).collect();
    let block = Block {
        title: page.t("overview.open_incidents"),
        href: "/insiden?status=open",
        rows,
        empty: page.t("overview.no_incident"),
    };
    Ok((card, block))
}

/// An incident as a row of a block.
pub(in crate::console) fn incident_row(page: &Page, incident: &Incident, now: Millis) -> BlockRow {
    let place = if incident.cause.instance.is_empty() { "" } else { &incident.cause.instance };
    let age = page.duration_exact(now - incident.started_at_ms);
    BlockRow {
        class: incident_views::priority_class(incident.priority),
        state: incident_views::priority_name(page, incident.priority),
        href: format!("/insiden/{}", incident.number),
        title: incident_views::chosen(page, &incident.title_id, &incident.title_en).to_owned(),
        note: if place.is_empty() { age } else { format!("{place}, {age}") },
    }
}
