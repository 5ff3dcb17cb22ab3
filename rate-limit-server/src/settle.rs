//! `POST /settle`: what a request has really cost.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode, header};
use serde_json::json;

use crate::body;
use crate::clock;
use crate::fields::{Flaw, Flaws, Object};
use crate::problem::Problem;
use crate::receipts::LIFETIME_MILLIS;
use crate::service::Service;

/// `POST /settle`.
pub(crate) async fn settle(State(service): State<Service>, request: Request<Body>) -> Response {
    respond(&service, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn respond(service: &Service, request: Request<Body>) -> Result<Response, Problem> {
    let (request, body) = request.into_parts();
    service.admission.asking(&request).await?;
    let body = body::json(&request, body, body::MAX_BODY_BYTES).await?;
    let (name, units) = read(&body.value, body.flaws).map_err(Problem::of_fields)?;
    let Some(receipt) = service.receipts.take(name, clock::unix_millis()) else {
        let detail = format!(
            "there is no such receipt; expected one that this instance has given out within the \
             last {} minutes and that was not settled",
            LIFETIME_MILLIS / 60_000
        );
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    // Done once and never repeated: if the store does not answer, the charge stays as it is.
    let settled =
        service.ad_hoc.layer().settle(receipt, |_| units).await.map_err(Problem::of_store)?;
    let total = settled.total();
    let body = json!({ "returned": total.returned, "excess": total.excess }).to_string();
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn read(body: &serde_json::Value, mut flaws: Flaws) -> Result<(&str, u64), Vec<Flaw>> {
    let object = Object::read("", body, &["receipt", "cost"], &mut flaws);
    let read = object.and_then(|object| {
        let name = object.text("receipt", &mut flaws);
        let name = name.or_else(|| object.missing("receipt", "a receipt of /check", &mut flaws));
        let units = object.whole("cost", crate::check::UNITS, &mut flaws);
        let units = units.or_else(|| object.missing("cost", "what it has cost", &mut flaws));
        Some((name?, units?))
    });
    flaws.finish(read)
}
