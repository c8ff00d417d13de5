//! HTTP of this part.

use crate::http::Routes;

/// Routes of this part.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
}
