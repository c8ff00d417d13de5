//! The web pages, Indonesian first, English one click away.

use crate::http::Routes;

/// Routes of the pages.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
}
