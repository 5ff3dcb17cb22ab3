//! `POST /rate_limit/reload`: read everything again, now.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Request, header};
use rate_limit_config::Applied;
use serde_json::{Value, json};

use crate::audit::Entry;
use crate::problem::Problem;
use crate::service::Service;

/// `POST /rate_limit/reload`.
pub(crate) async fn reload(State(service): State<Service>, request: Request<Body>) -> Response {
    respond(&service, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn respond(service: &Service, request: Request<Body>) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    service.admission.administering(&request).await?;
    let _turn = service.turn.lock().await;
    let before = service.rules.version();
    // A store that is away keeps nobody from reading the file.
    let store = service.sources.refresh(&*service.store.documents).await;
    let reloaded = service.reload().await;
    let entry = Entry::of("reload")
        .with("before", before)
        .with("after", service.rules.version())
        .with_outcome(&reloaded);
    service.audit.note(&request, entry);
    let applied = reloaded.map_err(|error| Problem::of_reload(&error))?;
    let mut body = described(&applied);
    if let (Value::Object(members), Err(error)) = (&mut body, store) {
        members.insert("store".to_owned(), error.to_string().into());
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response())
}

/// What came of a reload.
fn described(applied: &Applied) -> Value {
    json!({
        "configVersion": applied.version,
        "needsRestart": applied.needs_restart,
        "staleKeys": applied.stale_keys,
    })
}
