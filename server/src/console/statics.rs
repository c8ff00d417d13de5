//! Style sheet, script and icon, built into the program.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::http::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/static/siaga.css", Access::Public, "style sheet", css)
        .page("/static/siaga.js", Access::Public, "script", js)
        .page("/static/siaga.svg", Access::Public, "icon", icon)
}

fn file(kind: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=300")], content).into_response()
}

async fn css() -> Response {
    file("text/css; charset=utf-8", include_str!("../../static/siaga.css"))
}

async fn js() -> Response {
    file("text/javascript; charset=utf-8", include_str!("../../static/siaga.js"))
}

async fn icon() -> Response {
    file("image/svg+xml", include_str!("../../static/siaga.svg"))
}
