//! `GET /rate_limit/top`: who has used most of their limits, by digests that log lines use too.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Request, header};
use serde_json::{Value, json};

use crate::audit::Entry;
use crate::clock;
use crate::problem::Problem;
use crate::service::Service;

/// `GET /rate_limit/top`.
pub(crate) async fn top(State(service): State<Service>, request: Request<Body>) -> Response {
    respond(&service, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn respond(service: &Service, request: Request<Body>) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    service.admission.administering(&request).await?;
    service.audit.note(&request, Entry::of("show_top"));
    let now = clock::unix_millis();
    let clients = service.usage.top(now).into_iter().zip(1..).map(|(one, rank)| {
        json!({
            "rank": rank,
            "clientId": one.client.to_string(),
            "policy": one.policy,
            "limit": one.limit,
            "used": one.used(now),
            "resetsInSeconds": one.resets_in_millis(now).div_ceil(1_000),
        })
    });
    let body = json!({ "clients": clients.collect::<Vec<Value>>() }).to_string();
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
