//! Pages of the register: `/aset` and `/aset/{code}`.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{Html, Redirect};
use serde::Deserialize;
use siaga_protocol::inventory::{Inventory, Package};

use super::entered::{AssetClass, Entered};
use super::http::find;
use super::{register, words};
use crate::access::Right;
use crate::app::App;
use crate::console::{Page, PageError, Section, View, render};
use crate::http::{ApiError, Caller, Params, Routes, encode_component};
use crate::records::asset_changes::{self, AssetChange};
use crate::records::assets::{self, Asset, Filter};
use crate::records::{RecordsError, hosts};
use crate::time::{Millis, now_ms};

/// Assets on one page of the list.
const PAGE_SIZE: u32 = 50;
/// Changes shown below an asset.
const CHANGES_SHOWN: u32 = 100;
/// Packages shown at once; a search narrows them.
const PACKAGES_SHOWN: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/aset", Right::ViewAssets, "the register", list)
        .form("/aset", Right::ManageAssets, "add an asset by hand", create)
        .page("/aset/{code}", Right::ViewAssets, "one asset", show)
        .form("/aset/{code}", Right::ManageAssets, "enter what agents cannot see", enter)
}

#[derive(Debug, Default, Deserialize)]
struct ListParams {
    #[serde(default)]
    q: String,
    #[serde(default)]
    kelas: String,
    #[serde(default)]
    halaman: u32,
}

#[derive(Template)]
#[template(path = "assets/list.html")]
struct ListTemplate<'a> {
    page: &'a Page,
    params: &'a ListParams,
    assets: &'a [Asset],
    total: u64,
    /// Number, address, whether it is the one shown; empty if there is one page only.
    pages: Vec<(u32, String, bool)>,
    heard: Heard,
    now: Millis,
}

impl ListTemplate<'_> {
    fn classes(&self) -> [AssetClass; 6] {
        AssetClass::ALL
    }

    fn value(&self, asset: &Asset) -> String {
        value_text(self.page, asset)
    }

    fn heard(&self, asset: &Asset) -> String {
        self.heard.of(asset).map_or_else(|| "–".to_owned(), |at| self.page.ago(at, self.now))
    }

    fn may_enter(&self) -> bool {
        self.page.may(Right::ManageAssets)
    }
}

/// When the agents of the hosts in service were last heard, by the host's identifier. An inventory comes only when it
/// differs, so that its time says nothing of the agent.
struct Heard(BTreeMap<String, Millis>);

impl Heard {
    async fn read(app: &App) -> Result<Self, RecordsError> {
        let hosts = app.records.run(|db| hosts::list(db)).await?;
        Ok(Self(hosts.iter().map(|host| (host.id.clone(), app.presence.last_heard(host))).collect()))
    }

    /// The agent of an asset; of a host that is not in service any more, its last inventory.
    fn of(&self, asset: &Asset) -> Option<Millis> {
        let host = asset.host_id.as_ref()?;
        self.0.get(host).copied().max(asset.seen_at_ms)
    }
}

fn value_text(page: &Page, asset: &Asset) -> String {
    asset.entered.asset_value().map_or_else(|| "–".to_owned(), |value| page.number(value, 2))
}

/// Most pages that the list links to.
const MAX_PAGES_LINKED: u32 = 200;

fn page_links(params: &ListParams, total: u64) -> Vec<(u32, String, bool)> {
    let pages = u32::try_from(total.div_ceil(PAGE_SIZE.into())).unwrap_or(u32::MAX).min(MAX_PAGES_LINKED);
    let (q, class) = (encode_component(&params.q), encode_component(&params.kelas));
    let link = |number| {
        let address = format!("/aset?q={q}&kelas={class}&halaman={number}");
        (number, address, number == params.halaman.max(1))
    };
    if pages > 1 { (1..=pages).map(link).collect() } else { Vec::new() }
}

async fn list(
    State(app): State<App>,
    view: View,
    Params(params): Params<ListParams>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Assets);
    let filter = Filter { text: params.q.clone(), class: AssetClass::from_code(&params.kelas) };
    let offset = params.halaman.saturating_sub(1).saturating_mul(PAGE_SIZE);
    let found = app.records.run(move |db| assets::list(db, &filter, PAGE_SIZE, offset)).await;
    let (assets, total) = found.map_err(|e| PageError::new(&page, e))?;
    let pages = page_links(&params, total);
    let heard = Heard::read(&app).await.map_err(|e| PageError::new(&page, e))?;
    let template =
        ListTemplate { page: &page, params: &params, assets: &assets, total, pages, heard, now: now_ms() };
    render(&template).map_err(|e| PageError::new(&page, e))
}

/// What the forms send: numbers as text, because an empty choice is none.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EnteredForm {
    class: String,
    name: String,
    sub_class: String,
    owner: String,
    custodian: String,
    location: String,
    supplier: String,
    confidentiality: String,
    integrity: String,
    availability: String,
    valid_until: String,
    note: String,
}

fn level(field: &'static str, text: &str) -> Result<Option<u8>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| ApiError::bad_request(format!("{text:?} is not a number")).at(field))
}

impl EnteredForm {
    fn read(self) -> Result<Entered, ApiError> {
        let entered = Entered {
            name: self.name.trim().to_owned(),
            sub_class: self.sub_class.trim().to_owned(),
            owner: self.owner.trim().to_owned(),
            custodian: self.custodian.trim().to_owned(),
            location: self.location.trim().to_owned(),
            supplier: self.supplier.trim().to_owned(),
            confidentiality: level("confidentiality", &self.confidentiality)?,
            integrity: level("integrity", &self.integrity)?,
            availability: level("availability", &self.availability)?,
            valid_until: self.valid_until.trim().to_owned(),
            note: self.note.trim().replace("\r\n", "\n"),
        };
        entered.check()?;
        Ok(entered)
    }
}

async fn create(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Form(form): Form<EnteredForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Assets);
    let failed = |error: ApiError| PageError::new(&page, error);
    let class = AssetClass::from_code(&form.class)
        .ok_or_else(|| failed(ApiError::bad_request("choose one of the six classes").at("class")))?;
    let entered = form.read().map_err(failed)?;
    if entered.name.is_empty() {
        return Err(failed(ApiError::bad_request(page.t("assets.needs_name")).at("name")));
    }
    let actor = principal.actor();
    let code = app.records.run(move |db| register::add_by_hand(db, class, &entered, &actor, now_ms())).await;
    let code = code.map_err(|e| failed(e.into()))?;
    Ok(Redirect::to(&format!("/aset/{code}")))
}

#[derive(Debug, Default, Deserialize)]
struct ShowParams {
    #[serde(default)]
    paket: String,
}

/// A field of the form: name, key of its label, value.
type TextField<'a> = (&'static str, &'static str, &'a str);

#[derive(Template)]
#[template(path = "assets/show.html")]
struct ShowTemplate<'a> {
    page: &'a Page,
    asset: &'a Asset,
    heard: Heard,
    seen: Option<&'a Inventory>,
    packages: &'a [&'a Package],
    package_filter: &'a str,
    /// Packages that the search finds, also those that are not shown.
    packages_found: &'a usize,
    changes: &'a [AssetChange],
}

/// When the agent was last heard, and when something last changed: two things that one time cannot say.
fn seen_when(page: &Page, heard_ms: Option<Millis>, changed_ms: Option<Millis>) -> String {
    let when = |at: Option<Millis>| at.map_or_else(|| "–".to_owned(), |at| page.datetime(at));
    page.tv("assets.seen_when", &[("heard", &when(heard_ms)), ("changed", &when(changed_ms))])
}

impl ShowTemplate<'_> {
    fn fields(&self) -> [TextField<'_>; 6] {
        let entered = &self.asset.entered;
        [
            ("name", "assets.name", &entered.name),
            ("sub_class", "assets.sub_class", &entered.sub_class),
            ("owner", "assets.owner", &entered.owner),
            ("custodian", "assets.custodian", &entered.custodian),
            ("location", "assets.location", &entered.location),
            ("supplier", "assets.supplier", &entered.supplier),
        ]
    }

    fn levels(&self) -> [(&'static str, &'static str, Option<u8>); 3] {
        let entered = &self.asset.entered;
        [
            ("confidentiality", "assets.confidentiality", entered.confidentiality),
            ("integrity", "assets.integrity", entered.integrity),
            ("availability", "assets.availability", entered.availability),
        ]
    }

    fn may_enter(&self) -> bool {
        self.page.may(Right::ManageAssets)
    }

    fn class_text(&self) -> String {
        self.page.t(&format!("assets.class.{}", self.asset.class.code()))
    }

    fn state_text(&self) -> String {
        self.page.t(&format!("assets.state.{}", self.asset.state.code()))
    }

    fn level_text(&self, level: &Option<u8>) -> String {
        level.map_or_else(|| "–".to_owned(), |level| self.page.t(&format!("assets.level.{level}")))
    }

    fn choices(&self, chosen: &Option<u8>) -> [(u8, String, bool); 3] {
        [1, 2, 3].map(|level| (level, self.level_text(&Some(level)), *chosen == Some(level)))
    }

    fn value(&self) -> String {
        value_text(self.page, self.asset)
    }

    fn entered_when(&self) -> String {
        let Some(at) = self.asset.entered_at_ms else { return self.page.t("assets.not_entered") };
        let when = self.page.datetime(at);
        self.page
            .tv("assets.entered_by", &[("who", &self.page.actor(&self.asset.entered_by)), ("when", &when)])
    }

    fn seen_when(&self) -> String {
        seen_when(self.page, self.heard.of(self.asset), self.asset.changed_at_ms)
    }

    fn when(&self, change: &AssetChange) -> String {
        self.page.datetime_short(change.at_ms)
    }

    fn facts<'b>(&self, seen: &'b Inventory) -> Vec<(&'static str, &'b str)> {
        let (os, hardware) = (&seen.os, &seen.hardware);
        let facts = [
            ("assets.hostname", seen.hostname.as_str()),
            ("assets.os", &os.name),
            ("assets.os_version", &os.version),
            ("assets.kernel", &os.kernel),
            ("assets.architecture", &os.architecture),
            ("assets.vendor", &hardware.vendor),
            ("assets.product", &hardware.product),
            ("assets.cpu_model", &hardware.cpu_model),
            ("assets.virtualization", &hardware.virtualization),
        ];
        facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    fn bytes(&self, value: &u64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a size for people to read")]
        self.page.bytes(*value as f64)
    }

    fn service(&self, kind: &str) -> String {
        crate::discovery::kind_name(self.page, kind)
    }

    fn kind(&self, change: &AssetChange) -> String {
        self.page.t(&format!("assets.change.{}", change.kind))
    }

    fn field(&self, change: &AssetChange) -> String {
        words::field(self.page, &change.kind, &change.field)
    }

    fn before(&self, change: &AssetChange) -> String {
        words::value(self.page, &change.kind, &change.field, change.old.as_deref())
    }

    fn after(&self, change: &AssetChange) -> String {
        words::value(self.page, &change.kind, &change.field, change.new.as_deref())
    }
}

async fn show(
    State(app): State<App>,
    view: View,
    Path(code): Path<String>,
    Params(params): Params<ShowParams>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Assets);
    let found = app.records.run(move |db| {
        let asset = find(db, &code)?;
        let seen = assets::seen(db, asset.id)?;
        let changes = asset_changes::list(db, Some(&code), 0, CHANGES_SHOWN, 0)?;
        Ok::<_, ApiError>((asset, seen, changes))
    });
    let (asset, seen, changes) = found.await.map_err(|e| PageError::new(&page, e))?;
    let wanted = params.paket.trim().to_lowercase();
    let mut packages: Vec<&Package> = seen
        .iter()
        .flat_map(|seen| &seen.packages)
        .filter(|package| package.name.to_lowercase().contains(&wanted))
        .collect();
    let packages_found = packages.len();
    packages.truncate(PACKAGES_SHOWN);
    let heard = Heard::read(&app).await.map_err(|e| PageError::new(&page, e))?;
    let template = ShowTemplate {
        page: &page,
        asset: &asset,
        heard,
        seen: seen.as_ref(),
        packages: &packages,
        package_filter: params.paket.trim(),
        packages_found: &packages_found,
        changes: &changes,
    };
    render(&template).map_err(|e| PageError::new(&page, e))
}

async fn enter(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(code): Path<String>,
    Form(form): Form<EnteredForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Assets);
    let entered = form.read().map_err(|e| PageError::new(&page, e))?;
    let actor = principal.actor();
    let stored = app.records.run(move |db| {
        let asset = find(db, &code)?;
        register::enter(db, &asset, &entered, &actor, now_ms())?;
        Ok::<_, ApiError>(asset.code)
    });
    let code = stored.await.map_err(|e| PageError::new(&page, e))?;
    Ok(Redirect::to(&format!("/aset/{code}")))
}
