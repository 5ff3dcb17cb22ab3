//! The description of all paths, for people and for generators of clients.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

/// The description. Tests compare it with the routes and with what is really answered.
const OPENAPI: &str = include_str!("../openapi.json");

/// `GET /openapi.json`.
pub(crate) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
