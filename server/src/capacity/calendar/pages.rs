//! The page of known events: `/kapasitas/kalender`.

use askama::Template;
use axum::extract::{Form, State as Shared};
use axum::response::{Html, Redirect};
use serde::Deserialize;

use super::store::{self, Imported, category_name};
use super::{EventCategory, KnownEvent, holidays, http, import};
use crate::access::Right;
use crate::app::App;
use crate::capacity::views;
use crate::console::chart::Mark;
use crate::console::{Page, PageError, Section, View, render};
use crate::http::{ApiError, Caller, Routes};
use crate::time::{DAY_MS, Millis, now_ms};

/// Days that the page looks back and ahead.
const BACK_DAYS: Millis = 30;
const AHEAD_DAYS: Millis = 400;

pub(in crate::capacity) fn routes() -> Routes {
    Routes::new()
        .page("/kapasitas/kalender", Right::ViewCapacity, "known events", show)
        .form("/kapasitas/kalender", Right::PlanCapacity, "bring in events as iCalendar or CSV", bring_in)
        .form("/kapasitas/kalender/tambah", Right::PlanCapacity, "add an event", add)
        .form("/kapasitas/kalender/hapus", Right::PlanCapacity, "delete an event", remove)
}

/// An event, worded.
pub(in crate::capacity) struct EventRow {
    pub(in crate::capacity) id: Option<i64>,
    pub(in crate::capacity) when: String,
    pub(in crate::capacity) name: String,
    pub(in crate::capacity) category: String,
    pub(in crate::capacity) source: String,
}

impl EventRow {
    pub(in crate::capacity) fn new(page: &Page, event: &KnownEvent) -> Self {
        Self {
            id: event.id,
            when: when(page, event.from_ms, event.to_ms),
            name: event.name.clone(),
            category: category_name(page, event.category),
            source: if event.source.is_empty() { "–".to_owned() } else { event.source.clone() },
        }
    }
}

/// A stretch of time: days where it is made of whole ones, else times.
fn when(page: &Page, from_ms: Millis, to_ms: Millis) -> String {
    let midnight = |at_ms: Millis| {
        let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        at.to_zoned(page.zone().clone()).time() == jiff::civil::Time::midnight()
    };
    let (first, last) = if to_ms > from_ms && midnight(from_ms) && midnight(to_ms) {
        (page.date_short(from_ms), page.date_short(to_ms - 1))
    } else {
        (page.datetime_short(from_ms), page.datetime_short(to_ms))
    };
    if first == last { first } else { format!("{first} – {last}") }
}

/// Marks of a chart: one colour, told apart by category in the legend.
pub(in crate::capacity) fn marks(page: &Page, events: &[KnownEvent]) -> Vec<Mark> {
    let mark = |event: &KnownEvent| Mark {
        label: category_name(page, event.category),
        from_ms: event.from_ms,
        to_ms: event.to_ms,
    };
    events.iter().map(mark).collect()
}

#[derive(Template)]
#[template(path = "capacity/calendar.html")]
struct CalendarTemplate<'a> {
    page: &'a Page,
    rows: Vec<EventRow>,
    note: String,
    may_plan: bool,
    /// What became of a file that was just brought in.
    imported: Option<ImportedText>,
    /// What was pasted, where a line of it was not taken.
    pasted: String,
}

/// What became of a file, worded.
struct ImportedText {
    summary: String,
    bad: Vec<String>,
}

impl CalendarTemplate<'_> {
    fn categories(&self) -> [(&'static str, String); 5] {
        EventCategory::ALL.map(|category| (category.code(), category_name(self.page, category)))
    }
}

async fn calendar(
    app: &App,
    page: &Page,
    imported: Option<ImportedText>,
    pasted: String,
) -> Result<Html<String>, ApiError> {
    let now = now_ms();
    let events = store::around(app, page, now - BACK_DAYS * DAY_MS, now + AHEAD_DAYS * DAY_MS).await?;
    render(&CalendarTemplate {
        page,
        rows: events.iter().map(|event| EventRow::new(page, event)).collect(),
        note: page.tv("capacity.event.note", &[("year", &holidays::known_until().to_string())]),
        may_plan: page.may(Right::PlanCapacity),
        imported,
        pasted,
    })
}

async fn show(Shared(app): Shared<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    calendar(&app, &page, None, String::new()).await.map_err(|e| PageError::new(&page, e))
}

#[derive(Debug, Deserialize)]
struct ImportForm {
    text: String,
    category: EventCategory,
    #[serde(default)]
    source: String,
}

fn worded(page: &Page, imported: &Imported) -> ImportedText {
    let number = |n: usize| n.to_string();
    let line = |bad: &import::BadLine| {
        page.tv("capacity.event.bad_line", &[("line", &bad.line.to_string()), ("reason", &bad.reason)])
    };
    ImportedText {
        summary: page.tv(
            "capacity.event.imported",
            &[
                ("added", &number(imported.added)),
                ("changed", &number(imported.changed)),
                ("known", &number(imported.known)),
                ("bad", &number(imported.bad_lines)),
            ],
        ),
        bad: imported.bad.iter().map(line).collect(),
    }
}

async fn bring_in(
    Shared(app): Shared<App>,
    view: View,
    Caller(principal): Caller,
    Form(form): Form<ImportForm>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let text = form.text.clone();
    let done = http::take(&app, text, None, form.category, &form.source, principal.actor());
    let done = done.await.map_err(failed)?;
    let pasted = if done.bad_lines > 0 { form.text } else { String::new() };
    calendar(&app, &page, Some(worded(&page, &done)), pasted).await.map_err(failed)
}

#[derive(Debug, Deserialize)]
struct EventForm {
    name: String,
    category: EventCategory,
    from: String,
    #[serde(default)]
    to: String,
}

async fn add(
    Shared(app): Shared<App>,
    view: View,
    Caller(principal): Caller,
    Form(form): Form<EventForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let from_ms = views::read_date_field(&page, "from", &form.from)
        .and_then(|from| from.ok_or_else(|| ApiError::bad_request("a date is wanted").at("from")))
        .map_err(failed)?;
    let last_ms = views::read_date_field(&page, "to", &form.to).map_err(failed)?.unwrap_or(from_ms);
    let event = import::event(&form.name, (from_ms, last_ms + DAY_MS), form.category, None)
        .map_err(|reason| failed(ApiError::bad_request(reason)))?;
    let actor = principal.actor();
    let added = app.records.run(move |db| store::add(db, event, &actor, now_ms()));
    added.await.map_err(failed)?;
    Ok(Redirect::to("/kapasitas/kalender"))
}

#[derive(Debug, Deserialize)]
struct RemoveForm {
    id: i64,
}

async fn remove(
    Shared(app): Shared<App>,
    view: View,
    Caller(principal): Caller,
    Form(form): Form<RemoveForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Capacity);
    let actor = principal.actor();
    let removed = app.records.run(move |db| store::remove(db, form.id, &actor, now_ms()));
    removed.await.map_err(|e| PageError::new(&page, e))?;
    Ok(Redirect::to("/kapasitas/kalender"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Language, TimeZoneName};

    #[test]
    fn whole_days_are_said_as_days_and_everything_else_with_its_time() {
        let page = Page::detached(Language::Indonesian, "LPSE", TimeZoneName::default(), false);
        // 24 December 2026, 00:00 in Jakarta.
        let eve = 1_798_045_200_000;
        for (length, text) in [
            (DAY_MS, "24 Des 2026"),
            (2 * DAY_MS, "24 Des 2026 – 25 Des 2026"),
            (0, "24 Des 2026 00.00"),
            (DAY_MS / 2, "24 Des 2026 00.00 – 24 Des 2026 12.00"),
        ] {
            assert_eq!(when(&page, eve, eve + length), text);
        }
    }

    #[test]
    fn what_is_laid_down_has_its_name_and_source_in_both_languages() {
        for language in [Language::Indonesian, Language::English] {
            let page = Page::detached(language, "LPSE", TimeZoneName::default(), false);
            // 2026 and 2027.
            let days = holidays::between(page.zone(), 1_767_200_400_000, 1_830_272_399_000);
            // The decree of 2026; fixed dates and the Hijri calendar of 2027; the ends of two budget years.
            assert_eq!(days.len(), 25 + 5 + 7 + 2);
            for day in days {
                for key in [format!("capacity.day.{}", day.code), day.source.to_owned()] {
                    assert!(!page.t(&key).contains("capacity."), "{key}");
                }
            }
        }
    }
}
