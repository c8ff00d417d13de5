//! Works all services out after each pass of forecasts, and remembers it. What was entered anew is worked out at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::analysis::{LoadFigures, PartFigures, analyse};
use super::definition::Entered;
use super::measure;
use crate::app::App;
use crate::http::ApiError;
use crate::records::{capacity_services, forecasts};
use crate::time::{Millis, now_ms};

/// A service as worked out.
#[derive(Debug, Clone)]
pub struct Analysed {
    /// What was entered.
    pub(super) entered: Entered,
    /// When it was worked out.
    pub(super) at_ms: Millis,
    /// Its measures of load.
    pub(super) loads: Vec<LoadFigures>,
    /// Its components.
    pub(super) parts: Vec<PartFigures>,
}

async fn work_out(app: &App, entered: Entered) -> Result<Arc<Analysed>, ApiError> {
    let now = now_ms();
    let tenders = measure::tenders(app, now).await?;
    let known = app.records.run(|db| forecasts::latest(db)).await?;
    let known: BTreeMap<_, _> =
        known.into_iter().map(|latest| (latest.evaluation.key.clone(), latest.evaluation)).collect();
    let (mut loads, mut parts) = (Vec::new(), Vec::new());
    for load in &entered.service.loads {
        loads.push(measure::load(app, load, &tenders, now).await);
    }
    for part in &entered.service.parts {
        parts.push(measure::part(app, part, &known, now).await);
    }
    let worked = tokio::task::spawn_blocking(move || analyse(loads, parts, &tenders)).await;
    let (loads, parts) = worked.map_err(|_| ApiError::internal("the analysis of a service ended early"))?;
    let analysed = Arc::new(Analysed { entered, at_ms: now, loads, parts });
    app.forecasting.remember_service(&analysed);
    Ok(analysed)
}

/// Works out all services.
///
/// # Errors
/// If the records fail.
pub(in crate::capacity) async fn analyse_all(app: &App) -> anyhow::Result<()> {
    let all = app.records.run(|db| capacity_services::list(db)).await?;
    app.forecasting.forget_services_but(&all);
    for entered in all {
        if app.is_stopping() {
            break;
        }
        let name = entered.service.name.clone();
        if let Err(error) = work_out(app, entered).await {
            tracing::warn!(service = name, error = error.message(), "cannot work out a service");
        }
    }
    Ok(())
}

/// A service as last worked out, or worked out now.
pub(super) async fn of(app: &App, entered: Entered) -> Result<Arc<Analysed>, ApiError> {
    match app.forecasting.service(&entered.service.name) {
        Some(known) if known.entered == entered => Ok(known),
        _ => work_out(app, entered).await,
    }
}

impl Analysed {
    /// Name of the service.
    pub(in crate::capacity) fn name(&self) -> &str {
        &self.entered.service.name
    }
}
