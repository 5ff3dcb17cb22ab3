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
/// which is of use too, unless the operator thinks otherwise. With other rules than those that were
/// posted it is degraded as well; taking it out of service would not bring them into force.
pub(crate) async fn ready(State(service): State<Service>) -> Response {
    let troubles = service.troubles();
    let status = match (troubles.is_empty(), service.ready_when) {
        (true, _) | (false, ReadyWhen::Process) => StatusCode::OK,
        (false, ReadyWhen::Store) => StatusCode::SERVICE_UNAVAILABLE,
    };
    // Without the reasons, because nobody has to show a token here.
    let config: Vec<String> = service.refused().iter().map(ToString::to_string).collect();
    let is_well = troubles.is_empty() && config.is_empty();
    let body = json!({
        "status": if is_well { "ok" } else { "degraded" },
        "store": troubles,
        "config": config,
        "configVersion": service.rules.version(),
    });
    answer(status, &body)
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let fields = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, fields, body.to_string()).into_response()
}
