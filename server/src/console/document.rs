//! A page that stands alone, to be printed or kept: no frame, one style of its own.

use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::page::render;
use crate::http::ApiError;

/// The answer with a document. Its policy allows nothing but `style`, which the template writes into it, by its hash.
///
/// # Errors
/// 500 if the template fails.
pub(crate) fn document(template: &impl Template, style: &str) -> Result<Response, ApiError> {
    let mut response = render(template)?.into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy(style)?);
    Ok(response)
}

/// The policy of a document with this style.
///
/// # Errors
/// Never, as a hash is plain text.
pub(crate) fn policy(style: &str) -> Result<HeaderValue, ApiError> {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'");
    Ok(HeaderValue::from_str(&policy).map_err(anyhow::Error::from)?)
}
