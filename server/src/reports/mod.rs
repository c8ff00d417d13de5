//! Documents for people: from the one HTML document that a page prints to a PDF, and by mail to those named.
//!
//! - `pdf`: [`pdf::render`] turns a document into a PDF with a program of its own, which can fetch nothing.
//! - `mail`: [`mail::enqueue`] puts messages into the outbox, in the caller's transaction; a task delivers them.
//! - `http`: the outbox for programs.
//!
//! What a document says is the business of the capability whose document it is.

pub mod http;
pub mod mail;
mod mail_delivery;
pub mod pdf;

use std::time::Duration;

use tokio::task::JoinSet;

use crate::app::{App, every};

/// How often the outbox is looked at.
const MAIL_INTERVAL: Duration = Duration::from_secs(5);

/// Starts the background tasks of this part.
pub(crate) fn start_tasks(set: &mut JoinSet<()>, app: &App) {
    every(set, app, "mail", |_| MAIL_INTERVAL, |app| async move { mail_delivery::run(&app).await });
}
