//! The frame of every page: who is looking, in which language, at which section.

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Response};
use axum_extra::extract::CookieJar;

use crate::access::{Principal, Right, UserPrincipal};
use crate::app::App;
use crate::config::{Language, TimeZoneName};
use crate::continuity::Declared;
use crate::http::{ApiError, FROM_ANOTHER_SITE, MISSING};

/// Name of the cookie that holds the chosen language.
pub(super) const LANGUAGE_COOKIE: &str = "siaga_bahasa";

/// Sections of the console, as the navigation shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Ringkasan.
    Overview,
    /// Server.
    Servers,
    /// Kapasitas.
    Capacity,
    /// Insiden.
    Incidents,
    /// Aset.
    Assets,
    /// Kelangsungan.
    Continuity,
    /// Pengguna.
    Users,
    /// None of them, for example the login.
    None,
}

impl Section {
    /// Entries of the navigation: section, address, key of the text.
    pub const NAVIGATION: [(Self, &'static str, &'static str); 7] = [
        (Self::Overview, "/", "nav.overview"),
        (Self::Servers, "/server", "nav.servers"),
        (Self::Capacity, "/kapasitas", "nav.capacity"),
        (Self::Incidents, "/insiden", "nav.incidents"),
        (Self::Assets, "/aset", "nav.assets"),
        (Self::Continuity, "/kelangsungan", "nav.continuity"),
        (Self::Users, "/pengguna", "nav.users"),
    ];
}

/// Who is looking and how: an extractor, turned into a [`Page`] by naming the section.
#[derive(Debug, Clone)]
pub struct View {
    language: Language,
    user: Option<UserPrincipal>,
    organisation: String,
    simulation: bool,
    emergencies: Vec<Declared>,
    zone: TimeZoneName,
    path: String,
}

impl View {
    /// A page of a section.
    #[must_use]
    pub fn page(self, section: Section) -> Page {
        Page { view: self, section }
    }

    /// Language of the viewer.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }
}

impl FromRequestParts<App> for View {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let console = app.config.current().console.clone();
        let chosen = CookieJar::from_headers(&parts.headers)
            .get(LANGUAGE_COOKIE)
            .and_then(|cookie| Language::from_code(cookie.value()));
        let user = match parts.extensions.get::<Principal>() {
            Some(Principal::User(user)) => Some(user.clone()),
            _ => None,
        };
        Ok(Self {
            language: chosen.unwrap_or(console.language),
            organisation: console.organisation,
            simulation: console.simulation,
            // Who is not signed in learns nothing.
            emergencies: if user.is_some() { app.emergencies.now() } else { Vec::new() },
            zone: console.time_zone,
            path: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            user,
        })
    }
}

/// What every template gets as `page`.
#[derive(Debug, Clone)]
pub struct Page {
    view: View,
    section: Section,
}

impl Page {
    /// A page for a document or a test, outside of a request.
    #[must_use]
    pub fn detached(language: Language, organisation: &str, zone: TimeZoneName, simulation: bool) -> Self {
        let view = View {
            language,
            user: None,
            organisation: organisation.to_owned(),
            simulation,
            emergencies: Vec::new(),
            zone,
            path: "/".to_owned(),
        };
        Self { view, section: Section::None }
    }

    /// The text of a key in the viewer's language.
    #[must_use]
    pub fn t(&self, key: &str) -> String {
        rust_i18n::t!(key, locale = self.lang()).into_owned()
    }

    /// The text of a key, with `%{name}` replaced by values.
    #[must_use]
    pub fn tv(&self, key: &str, values: &[(&str, &str)]) -> String {
        values.iter().fold(self.t(key), |text, (name, value)| text.replace(&format!("%{{{name}}}"), value))
    }

    /// Code of the language.
    #[must_use]
    pub fn lang(&self) -> &'static str {
        self.view.language.code()
    }

    /// The language.
    #[must_use]
    pub fn language(&self) -> Language {
        self.view.language
    }

    /// Code of the other language, for the switch.
    #[must_use]
    pub fn other_lang(&self) -> &'static str {
        match self.view.language {
            Language::Indonesian => "en",
            Language::English => "id",
        }
    }

    /// Time zone of times for people.
    #[must_use]
    pub fn zone(&self) -> &jiff::tz::TimeZone {
        self.view.zone.zone()
    }

    /// The user who is looking.
    #[must_use]
    pub fn user(&self) -> Option<&UserPrincipal> {
        self.view.user.as_ref()
    }

    /// Name of the office.
    #[must_use]
    pub fn organisation(&self) -> &str {
        &self.view.organisation
    }

    /// Whether what is seen is simulated.
    #[must_use]
    pub fn simulation(&self) -> bool {
        self.view.simulation
    }

    /// Emergencies that are declared now: address and words.
    #[must_use]
    pub fn emergencies(&self) -> Vec<(String, String)> {
        let line = |one: &Declared| {
            let began = self.datetime(one.began_at_ms);
            let values: [(&str, &str); 3] =
                [("service", &one.service), ("form", &one.form), ("began", &began)];
            (format!("/kelangsungan/darurat/{}", one.id), self.tv("emergency.banner", &values))
        };
        self.view.emergencies.iter().map(line).collect()
    }

    /// Path of the page itself.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.view.path
    }

    /// The section that the page belongs to.
    #[must_use]
    pub fn section(&self) -> Section {
        self.section
    }

    /// Whether the viewer has a right.
    #[must_use]
    pub fn may(&self, right: Right) -> bool {
        self.user().is_some_and(|user| crate::access::may(&user.roles, right))
    }

    /// Entries of the navigation: address, text, whether it is the current one.
    #[must_use]
    pub fn navigation(&self) -> Vec<(&'static str, String, bool)> {
        Section::NAVIGATION
            .iter()
            .filter(|(section, _, _)| *section != Section::Users || self.may(Right::ViewAccess))
            .map(|(section, address, key)| (*address, self.t(key), *section == self.section))
            .collect()
    }
}

/// An error as a page.
#[derive(Debug)]
pub struct PageError {
    page: Page,
    error: ApiError,
    /// What is said instead of the explanation of the status and of the machine's own words, with a link.
    said: Option<(String, (String, String))>,
}

impl PageError {
    /// Shows an error in the frame of a page.
    #[must_use]
    pub fn new(page: &Page, error: impl Into<ApiError>) -> Self {
        Self { page: page.clone(), error: error.into(), said: None }
    }

    /// Says it in words of the page's own, with the address and the name of where to go on.
    #[must_use]
    pub fn saying(mut self, words: String, link: (String, String)) -> Self {
        self.said = Some((words, link));
        self
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorTemplate<'a> {
    page: &'a Page,
    status: u16,
    /// For people, in their language.
    explanation: String,
    /// What exactly was wrong; nothing where the explanation says it all.
    message: Option<&'a str>,
    /// Address and name of where to go on.
    link: Option<&'a (String, String)>,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        self.error.log();
        let status = self.error.status();
        let in_words = self.said.as_ref().map(|(words, _)| words.clone());
        let in_words = in_words.or_else(|| in_own_words(&self.page, self.error.message()));
        let template = ErrorTemplate {
            page: &self.page,
            status: status.as_u16(),
            message: in_words.is_none().then(|| self.error.message()),
            explanation: in_words.unwrap_or_else(|| self.page.t(&format!("error.{}", explained(status)))),
            link: self.said.as_ref().map(|(_, link)| link),
        };
        match template.render() {
            Ok(html) => (status, Html(html)).into_response(),
            Err(_) => self.error.into_response(),
        }
    }
}

/// What the API says in English, in the reader's language, where the catalogue has it.
fn in_own_words(page: &Page, message: &str) -> Option<String> {
    if message == FROM_ANOTHER_SITE {
        return Some(page.t("error.another_site"));
    }
    let missing = message.strip_suffix(MISSING)?;
    // "server web-01": what it is has a word, its name stays.
    let (kind, name) = missing.split_once(' ').unwrap_or(("", missing));
    let key = match kind {
        "asset" | "drill" | "host" | "incident" | "plan" | "proposal" | "server" | "user" => {
            format!("error.kind.{kind}")
        }
        _ => return Some(page.tv("error.missing", &[("what", missing)])),
    };
    Some(page.tv("error.missing", &[("what", &format!("{} {name}", page.t(&key)))]))
}

/// The status whose explanation fits best.
fn explained(status: StatusCode) -> u16 {
    match status.as_u16() {
        known @ (400 | 401 | 403 | 404 | 409 | 503) => known,
        client if client < 500 => 400,
        _ => 500,
    }
}

/// Renders a template.
///
/// # Errors
/// 500 if the template fails.
pub fn render(template: &impl Template) -> Result<Html<String>, ApiError> {
    template.render().map(Html).map_err(|error| anyhow::Error::from(error).into())
}
