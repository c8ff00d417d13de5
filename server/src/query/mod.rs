//! The Prometheus HTTP API for Grafana and for anyone else: parameters, forms of answers, errors.
//!
//! Invariant: errors bear `errorType` and the status that Prometheus gives them, also those of parameters.

mod admin;
mod answer;
mod error;
mod evaluated;
pub mod http;
mod names;
mod params;
mod read;
mod status;

use tokio::task::JoinSet;

use crate::app::App;

pub use error::PrometheusError;
pub(crate) use http::selectors;
pub use params::Form;

/// Starts the background tasks of this part: there are none.
pub(crate) fn start_tasks(_set: &mut JoinSet<()>, _app: &App) {}
