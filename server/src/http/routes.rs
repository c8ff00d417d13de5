//! The list of routes. Each entry names method, path, access and what it is for; the router, the guard and the
//! API's description all come from it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::{ApiError, auth};
use crate::access::Right;
use crate::app::App;
use crate::console::ErrorPages;

/// Largest body of a request that needs no login: a form or a small document. What anybody may send is not held.
const MAX_PUBLIC_BODY_BYTES: usize = 64 << 10;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// An enrolled agent.
    Agent,
    /// An enrolled agent, or a user with the right.
    AgentOr(Right),
    /// A user with the right.
    User(Right),
}

impl From<Right> for Access {
    fn from(right: Right) -> Self {
        Self::User(right)
    }
}

/// What a route gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Data, for programs: errors are JSON.
    Api,
    /// A page, for people: who is not signed in is led to the login, and errors are pages.
    Page,
}

/// One route.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Method.
    pub method: Method,
    /// Path with parameters in braces.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// Data or page.
    pub kind: Kind,
    /// What it is for.
    pub summary: &'static str,
}

/// Routes of one part of the server.
#[derive(Debug, Default)]
pub struct Routes {
    router: Router<App>,
    entries: Vec<Entry>,
}

macro_rules! method {
    ($(#[$doc:meta])* $name:ident, $filter:ident, $kind:expr) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name<H, T>(
            self,
            path: &'static str,
            access: impl Into<Access>,
            summary: &'static str,
            handler: H,
        ) -> Self
        where
            H: Handler<T, App>,
            T: 'static,
        {
            self.add(Method::$filter, MethodFilter::$filter, $kind, path, access.into(), summary, handler)
        }
    };
}

impl Routes {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    method!(
        /// Adds a `GET` for programs.
        get, GET, Kind::Api
    );
    method!(
        /// Adds a `POST` for programs.
        post, POST, Kind::Api
    );
    method!(
        /// Adds a `PUT` for programs.
        put, PUT, Kind::Api
    );
    method!(
        /// Adds a `DELETE` for programs.
        delete, DELETE, Kind::Api
    );
    method!(
        /// Adds a page.
        page, GET, Kind::Page
    );
    method!(
        /// Adds what a page's form sends.
        form, POST, Kind::Page
    );

    #[expect(clippy::too_many_arguments, reason = "called by the six methods above only")]
    fn add<H, T>(
        mut self,
        method: Method,
        filter: MethodFilter,
        kind: Kind,
        path: &'static str,
        access: Access,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let mut route: MethodRouter<App> =
            on(filter, handler).route_layer(axum::middleware::from_fn(move |request, next| {
                auth::guard(access, kind, request, next)
            }));
        if access == Access::Public {
            route = route.route_layer(DefaultBodyLimit::max(MAX_PUBLIC_BODY_BYTES));
        }
        self.router = self.router.route(path, route);
        self.entries.push(Entry { method, path, access, kind, summary });
        self
    }

    /// Joins the routes of another part.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.entries.extend(other.entries);
        self
    }

    /// All entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn into_router(self) -> Router<App> {
        self.router
    }
}

/// Every route of the server.
#[must_use]
pub(super) fn all_routes() -> Routes {
    Routes::new()
        .merge(super::openapi::routes())
        .merge(crate::app::http::routes())
        .merge(crate::access::http::routes())
        .merge(crate::fleet::http::routes())
        .merge(crate::discovery::http::routes())
        .merge(crate::ingest::http::routes())
        .merge(crate::query::http::routes())
        .merge(crate::rules::http::routes())
        .merge(crate::incidents::http::routes())
        .merge(crate::assets::http::routes())
        .merge(crate::capacity::http::routes())
        .merge(crate::continuity::http::routes())
        .merge(crate::reports::http::routes())
        .merge(crate::console::routes())
}

/// The whole service.
pub fn router(app: App) -> Router {
    let routes = all_routes();
    let errors = ErrorPages::new(&app, routes.entries());
    let routes = routes.into_router().fallback(async || ApiError::not_found("this address"));
    super::listen::layers(routes, &app, &errors).with_state(app)
}
