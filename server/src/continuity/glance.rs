//! What the overview shows of continuity: the next planned drill and the latest ones.

use super::begin::library;
use super::hold::next_date;
use super::pages::{badge, plan_name};
use super::report;
use crate::app::App;
use crate::console::Page;
use crate::http::ApiError;
use crate::records::drills::{self, Drill};
use crate::time::Millis;

/// The next planned drill and the latest ones.
#[derive(Debug)]
pub(crate) struct Glance {
    /// When, and the name of its plan.
    pub(crate) next: Option<(Millis, String)>,
    /// The latest drills, the newest first.
    pub(crate) latest: Vec<LatestDrill>,
}

/// A drill in words.
#[derive(Debug)]
pub(crate) struct LatestDrill {
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) badge: &'static str,
    pub(crate) status: String,
    pub(crate) at_ms: Millis,
    /// Measured recovery time.
    pub(crate) recovery: Option<String>,
}

/// Reads the plans and the latest `count` drills.
///
/// # Errors
/// If the records cannot be read. A folder of plans that cannot be read counts as empty here; the page of
/// continuity says what is wrong with it.
pub(crate) async fn glance(app: &App, page: &Page, count: u32, now: Millis) -> Result<Glance, ApiError> {
    let library = library(app).await.unwrap_or_else(|error| {
        tracing::warn!(error = format!("{error:#}"), "plans not read");
        super::plan::Library::default()
    });
    let mut dates = Vec::new();
    for (plan, entry) in library.good() {
        let at = next_date(app, entry, now).await?;
        dates.extend(at.map(|at| (at, plan.say(page.lang(), &plan.name).to_owned())));
    }
    let next = dates.into_iter().min();
    let latest = app.records.run(move |db| drills::latest(db, None, count)).await?;
    Ok(Glance { next, latest: latest.iter().map(|drill| in_words(page, drill)).collect() })
}

fn in_words(page: &Page, drill: &Drill) -> LatestDrill {
    LatestDrill {
        address: format!("/kelangsungan/latihan/{}", drill.id),
        name: plan_name(page, drill),
        badge: badge(&drill.status),
        status: page.t(&format!("continuity.status.{}", drill.status)),
        at_ms: drill.scheduled_for_ms.unwrap_or(drill.created_at_ms),
        recovery: drill.rto_ms.map(|_| report::recovery(page, drill)),
    }
}
