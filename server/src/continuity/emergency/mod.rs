//! Real disruptions: the coordinator declares and lifts the emergency, all units of the plan are told, tasks run on a
//! timeline, and the papers after it are drafted with the times that were kept.
//!
//! Invariants: what was declared stays as it was written; nothing is concluded from measurements, people say when it began
//! and when it was over; a declaration and what is to be told of it are stored together; Siaga decides no schedule, it
//! names the deadlines that fell into the disruption.

mod http;
mod notices;
mod pages;
mod rules;

use std::sync::{Arc, PoisonError, RwLock};

use crate::app::App;
use crate::http::Routes;
use crate::records::disruptions;
use crate::time::Millis;

pub(super) use notices::start_tasks;

/// Routes of this part.
pub(super) fn routes() -> Routes {
    http::routes().merge(pages::routes())
}

/// An emergency that is declared and not lifted, as every page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Identifier.
    pub id: String,
    /// Service.
    pub service: String,
    /// What is the matter.
    pub form: String,
    /// Since when.
    pub began_at_ms: Millis,
}

/// The emergencies that are declared now, shared by all pages.
#[derive(Debug, Clone, Default)]
pub struct Emergencies(Arc<RwLock<Vec<Declared>>>);

impl Emergencies {
    /// All of them, oldest first.
    #[must_use]
    pub fn now(&self) -> Vec<Declared> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, declared: Vec<Declared>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = declared;
    }
}

/// Reads them anew from the records.
pub(crate) async fn refresh(app: &App) -> anyhow::Result<()> {
    let open = app.records.run(|db| disruptions::open(db)).await?;
    let declared = open.into_iter().map(|one| Declared {
        id: one.id,
        service: one.service,
        form: one.form,
        began_at_ms: one.began_at_ms,
    });
    app.emergencies.set(declared.collect());
    Ok(())
}
