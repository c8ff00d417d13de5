//! HTTP of the register: inventories come in, assets and changes go out.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use siaga_protocol::inventory::Inventory;
use siaga_protocol::paths;

use super::entered::{AssetClass, Entered, EnteredError};
use super::register::{self, AssetState};
use crate::access::Right;
use crate::app::App;
use crate::discovery;
use crate::fleet::orders::announce;
use crate::http::{Access, ApiError, Caller, JsonBody, Params, Routes};
use crate::records::asset_changes::{self, AssetChange};
use crate::records::assets::{self, Asset, Filter};
use crate::records::rusqlite::Connection;
use crate::time::{Millis, now_ms};

/// Routes of the register.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .put(paths::INVENTORY, Access::Agent, "the inventory of a host", put_inventory)
        .get("/api/v1/assets", Right::ViewAssets, "assets (q, class, limit, offset)", list)
        .post("/api/v1/assets", Right::ManageAssets, "add an asset that no agent sees", create)
        .get("/api/v1/assets/{code}", Right::ViewAssets, "one asset, as entered and as seen", show)
        .put("/api/v1/assets/{code}", Right::ManageAssets, "replace what people enter", put_entered)
        .get("/api/v1/changes", Right::ViewAssets, "changes (asset, since in ms, limit, offset)", changes)
        .merge(super::pages::routes())
}

impl From<EnteredError> for ApiError {
    fn from(error: EnteredError) -> Self {
        Self::bad_request(error.reason).at(error.field)
    }
}

async fn put_inventory(
    State(app): State<App>,
    Caller(principal): Caller,
    JsonBody(inventory): JsonBody<Inventory>,
) -> Result<Json<serde_json::Value>, ApiError> {
    super::check_limits(&inventory).map_err(|error| ApiError::bad_request(error.reason).at(error.at))?;
    let host = principal.agent()?.clone();
    let source = principal.actor();
    let now = now_ms();
    app.presence.note(&host.id, now);
    let sender = app.clone();
    let stored = app.records.run(move |db| {
        let (asset, changes) = register::take_over(db, &host.id, &source, &inventory, now)?;
        let is_ordered = discovery::repair(&sender, db, &host.id, &inventory, now)?;
        Ok::<_, ApiError>((asset, changes, is_ordered))
    });
    let (asset, changes, is_ordered) = stored.await?;
    if is_ordered {
        announce(&app);
    }
    tracing::debug!(asset, changes, "inventory stored");
    Ok(Json(serde_json::json!({ "asset": asset, "changes": changes })))
}

/// Most rows of one answer.
pub(super) const MAX_PAGE: u32 = 500;
/// Rows of an answer that asks for no number.
const DEFAULT_PAGE: u32 = 100;

#[derive(Debug, Deserialize)]
struct ListParams {
    #[serde(default)]
    q: String,
    #[serde(default)]
    class: Option<AssetClass>,
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    offset: u32,
}

/// An asset in answers.
#[derive(Debug, Serialize)]
struct AssetBody {
    code: String,
    class: AssetClass,
    state: AssetState,
    display_name: String,
    instance: Option<String>,
    entered: Entered,
    asset_value: Option<f64>,
    created_at_ms: Millis,
    entered_at_ms: Option<Millis>,
    entered_by: String,
    /// When its agent last sent an inventory.
    seen_at_ms: Option<Millis>,
    /// When something last changed.
    changed_at_ms: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<Inventory>,
}

impl AssetBody {
    fn new(asset: Asset, seen: Option<Inventory>) -> Self {
        Self {
            display_name: asset.display_name().to_owned(),
            asset_value: asset.entered.asset_value(),
            code: asset.code,
            class: asset.class,
            state: asset.state,
            instance: asset.instance,
            entered: asset.entered,
            created_at_ms: asset.created_at_ms,
            entered_at_ms: asset.entered_at_ms,
            entered_by: asset.entered_by,
            seen_at_ms: asset.seen_at_ms,
            changed_at_ms: asset.changed_at_ms,
            seen,
        }
    }
}

#[derive(Debug, Serialize)]
struct AssetList {
    total: u64,
    assets: Vec<AssetBody>,
}

async fn list(
    State(app): State<App>,
    Params(params): Params<ListParams>,
) -> Result<Json<AssetList>, ApiError> {
    let limit = params.limit.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE);
    let filter = Filter { text: params.q, class: params.class };
    let (assets, total) = app.records.run(move |db| assets::list(db, &filter, limit, params.offset)).await?;
    let assets = assets.into_iter().map(|asset| AssetBody::new(asset, None)).collect();
    Ok(Json(AssetList { total, assets }))
}

/// An asset by its code, or 404.
pub(super) fn find(db: &Connection, code: &str) -> Result<Asset, ApiError> {
    assets::by_code(db, code)?.ok_or_else(|| ApiError::not_found(format!("asset {code}")))
}

async fn show(State(app): State<App>, Path(code): Path<String>) -> Result<Json<AssetBody>, ApiError> {
    let body = app.records.run(move |db| {
        let asset = find(db, &code)?;
        let seen = assets::seen(db, asset.id)?;
        Ok::<_, ApiError>(AssetBody::new(asset, seen))
    });
    Ok(Json(body.await?))
}

async fn put_entered(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(code): Path<String>,
    JsonBody(new): JsonBody<Entered>,
) -> Result<Json<AssetBody>, ApiError> {
    new.check()?;
    let actor = principal.actor();
    let asset = app.records.run(move |db| {
        register::enter(db, &find(db, &code)?, &new, &actor, now_ms())?;
        find(db, &code)
    });
    Ok(Json(AssetBody::new(asset.await?, None)))
}

/// Body of a new asset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAsset {
    class: AssetClass,
    entered: Entered,
}

async fn create(
    State(app): State<App>,
    Caller(principal): Caller,
    JsonBody(new): JsonBody<NewAsset>,
) -> Result<Json<AssetBody>, ApiError> {
    new.entered.check()?;
    if new.entered.name.trim().is_empty() {
        return Err(ApiError::bad_request("an asset that no agent sees needs a name").at("entered.name"));
    }
    let actor = principal.actor();
    let asset = app.records.run(move |db| {
        let code = register::add_by_hand(db, new.class, &new.entered, &actor, now_ms())?;
        find(db, &code)
    });
    Ok(Json(AssetBody::new(asset.await?, None)))
}

#[derive(Debug, Deserialize)]
struct ChangeParams {
    #[serde(default)]
    asset: Option<String>,
    #[serde(default)]
    since: Millis,
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    offset: u32,
}

async fn changes(
    State(app): State<App>,
    Params(params): Params<ChangeParams>,
) -> Result<Json<Vec<AssetChange>>, ApiError> {
    let limit = params.limit.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE);
    let rows = app.records.run(move |db| {
        let asset = params.asset.as_deref();
        asset_changes::list(db, asset, params.since, limit, params.offset)
    });
    Ok(Json(rows.await?))
}
