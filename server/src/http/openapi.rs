//! Describes the API (OpenAPI 3.1) from the list of routes, so that the description cannot leave one out.

use axum::Json;
use serde_json::{Map, Value, json};

use super::routes::{Access, Entry, Kind, Routes, all_routes};

/// The route of the description itself.
pub(super) fn routes() -> Routes {
    Routes::new().get("/api/openapi.json", Access::Public, "description of this API", description)
}

async fn description() -> Json<Value> {
    Json(describe(all_routes().entries()))
}

/// The description of some routes. Pages are left out.
#[must_use]
pub fn describe(entries: &[Entry]) -> Value {
    let mut paths = Map::new();
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Api) {
        let path = paths.entry(entry.path).or_insert_with(|| json!({}));
        path[entry.method.as_str().to_ascii_lowercase()] = operation(entry);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Siaga", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": { "type": "string", "description": "what was wrong, one sentence" },
                        "at": { "type": "string", "description": "where: a field, a line, a parameter" }
                    }
                }
            }
        }
    })
}

fn operation(entry: &Entry) -> Value {
    let parameters: Vec<Value> = entry
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let problem = json!({
        "description": "what was wrong",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
    });
    let (security, need) = match entry.access {
        Access::Public => (json!([]), "nothing".to_owned()),
        Access::Agent => (json!([{ "bearer": [] }]), "an agent's token".to_owned()),
        Access::AgentOr(right) => {
            (json!([{ "bearer": [] }]), format!("an agent's token or the right {}", right.code()))
        }
        Access::User(right) => (json!([{ "bearer": [] }]), format!("the right {}", right.code())),
    };
    json!({
        "summary": entry.summary,
        "description": format!("Needs {need}."),
        "parameters": parameters,
        "security": security,
        "responses": { "200": { "description": "done" }, "default": problem }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_lists_every_route_of_the_api() {
        let routes = all_routes();
        let description = describe(routes.entries());
        for entry in routes.entries().iter().filter(|entry| entry.kind == Kind::Api) {
            let method = entry.method.as_str().to_ascii_lowercase();
            assert!(description["paths"][entry.path][method].is_object(), "{} {}", entry.method, entry.path);
        }
    }
}
