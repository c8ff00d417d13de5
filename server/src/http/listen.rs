//! Listens, with TLS where configured, and ends in order: no new requests, running ones finish, then the rest.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue};
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::connections::Door;
use super::{auth, problem, time_limit};
use crate::app::App;
use crate::console::ErrorPages;

/// Time that running requests get at the end.
const DRAIN: Duration = Duration::from_secs(3);

/// Time for the first request line and headers of a connection.
const FIRST_REQUEST: Duration = Duration::from_secs(20);

/// Time for the headers of a further request, counted from the end of the one before: also the longest idle time of a
/// connection. Longer than the 90 s after which agents close an idle one, so that none is closed while it is used.
const NEXT_REQUEST: Duration = Duration::from_secs(100);

/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// Address.
        address: SocketAddr,
        /// Reason.
        #[source]
        source: std::io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("cannot use the certificate {certificate} with the key {key}")]
    Tls {
        /// File of the certificate.
        certificate: String,
        /// File of the key.
        key: String,
        /// Reason.
        #[source]
        source: std::io::Error,
    },
    /// Serving ended with an error.
    #[error("serving ended")]
    Serve(#[source] std::io::Error),
}

pub(super) fn layers(router: Router<App>, app: &App, errors: &ErrorPages) -> Router<App> {
    let config = app.config.current();
    let header = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    // Within the layer that knows who is asking, for the frame of the page; and around all that may refuse before.
    let error_pages = || axum::middleware::from_fn_with_state(errors.clone(), crate::console::error_pages);
    router
        .layer(error_pages())
        .layer(axum::middleware::from_fn_with_state(app.clone(), auth::identify))
        .layer(CatchPanicLayer::new())
        .layer(axum::middleware::from_fn_with_state(app.clone(), auth::count))
        .layer(axum::middleware::from_fn_with_state(app.clone(), time_limit::bounded))
        .layer(error_pages())
        .layer(axum::middleware::from_fn(problem::in_one_form))
        .layer(DefaultBodyLimit::max(config.http.max_body_bytes))
        .layer(CompressionLayer::new())
        .layer(header("x-content-type-options", "nosniff"))
        .layer(header("x-frame-options", "DENY"))
        .layer(header("referrer-policy", "same-origin"))
        .layer(header("cache-control", "no-store"))
        .layer(header(
            "content-security-policy",
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ))
}

/// Serves until `stop` becomes true.
///
/// # Errors
/// If the address or the certificate cannot be used.
pub async fn serve(app: App, mut stop: watch::Receiver<bool>) -> Result<(), ListenError> {
    let http = app.config.current().http.clone();
    let address = http.listen;
    let listener =
        std::net::TcpListener::bind(address).map_err(|source| ListenError::Bind { address, source })?;
    listener.set_nonblocking(true).map_err(|source| ListenError::Bind { address, source })?;
    let handle = Handle::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        // An error means that the sender is gone, which is an end as well.
        let _ = stop.wait_for(|stop| *stop).await;
        stopping.graceful_shutdown(Some(DRAIN));
    });
    let door = Door::new(http.max_connections, http.max_connections_per_address);
    let service = super::router(app).into_make_service_with_connect_info::<SocketAddr>();
    let bind_failed = |source| ListenError::Bind { address, source };
    match (&http.tls_certificate, &http.tls_key) {
        (Some(certificate), Some(key)) => {
            let tls =
                RustlsConfig::from_pem_file(certificate, key).await.map_err(|source| ListenError::Tls {
                    certificate: certificate.display().to_string(),
                    key: key.display().to_string(),
                    source,
                })?;
            let server = patient(axum_server::from_tcp(listener).map_err(bind_failed)?);
            let server = server.acceptor(RustlsAcceptor::new(tls).acceptor(door));
            server.handle(handle).serve(service).await.map_err(ListenError::Serve)
        }
        _ => {
            let server = patient(axum_server::from_tcp(listener).map_err(bind_failed)?);
            server.acceptor(door).handle(handle).serve(service).await.map_err(ListenError::Serve)
        }
    }
}

/// Bounds the time for which a connection may be held without a request. Bodies have the time of their request.
fn patient(mut server: axum_server::Server<SocketAddr>) -> axum_server::Server<SocketAddr> {
    server.http_builder().http1().header_read_timeout(NEXT_REQUEST);
    server.http_builder().http2().keep_alive_interval(NEXT_REQUEST).max_concurrent_streams(MAX_STREAMS);
    server.first_request_timeout(FIRST_REQUEST)
}
