//! The web pages: their frame, language, formats and charts, and the pages that belong to no single capability.
//! A capability's own pages lie in its `pages.rs` and its templates in `templates/<capability>/`.
//!
//! Invariants: every text for people comes from the catalogue in `texts/`; HTML is escaped by the template engine;
//! pages are readable without JavaScript.

pub mod chart;
mod document;
mod error_pages;
mod format;
mod overview;
mod page;
mod servers;
mod sign_in;
mod statics;
#[cfg(test)]
mod texts;
mod tokens;
mod trail;
mod users;

pub(crate) use document::{document, policy};
pub(crate) use error_pages::{ErrorPages, error_pages};
pub use page::{Page, PageError, Section, View, render};

use crate::http::Routes;

/// Routes of the pages that belong to no single capability.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .merge(overview::routes())
        .merge(servers::routes())
        .merge(users::routes())
        .merge(tokens::routes())
        .merge(sign_in::routes())
        .merge(statics::routes())
}
