//! Whether the process lives, and whether it is of use.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

use crate::arguments::ReadyWhen;
use crate::service::Service;

/// It lives if it answers.
pub(crate) async fn health() -> Response {
    answer(StatusCode::OK, &json!({ "status": "ok" }))
}

/// It is of use while it decides. Without its store it decides by the failure modes of the policies,
/// which is of use too, unless the operator thinks otherwise.
pub(crate) async fn ready(State(service): State<Service>) -> Response {
    let troubles = service.troubles();
    let status = match (troubles.is_empty(), service.ready_when) {
        (true, _) | (false, ReadyWhen::Process) => StatusCode::OK,
        (false, ReadyWhen::Store) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let store = if troubles.is_empty() { "ok" } else { "degraded" };
    let version = service.rules.version();
    answer(status, &json!({ "status": store, "store": troubles, "configVersion": version }))
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let fields = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, fields, body.to_string()).into_response()
}
