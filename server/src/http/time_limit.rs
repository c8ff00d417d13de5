//! Bounds the time from a request's headers to the head of its answer, its body included. A long poll has the time for
//! which it may be held on top.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use siaga_protocol::paths;

use crate::app::App;
use crate::fleet::http::MAX_POLL_WAIT;

pub(super) async fn bounded(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = limit(request.uri().path(), app.config.current().http.request_timeout);
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let error = format!("the request took longer than http.request_timeout ({} s)", limit.as_secs());
            // Bare text: `problem` gives it the form of the API that was asked.
            (StatusCode::SERVICE_UNAVAILABLE, error).into_response()
        }
    }
}

fn limit(path: &str, request_timeout: Duration) -> Duration {
    if path == paths::ORDERS { request_timeout + MAX_POLL_WAIT } else { request_timeout }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_long_poll_may_take_longer() {
        let timeout = Duration::from_secs(5);
        assert_eq!(limit(paths::REMOTE_WRITE, timeout), timeout);
        assert_eq!(limit(paths::ORDERS, timeout), timeout + MAX_POLL_WAIT);
    }
}
