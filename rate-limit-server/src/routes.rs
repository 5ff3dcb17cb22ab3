//! Which path does what.

use axum::Router;
use axum::routing::{any, get, post};
use http::{Method, StatusCode, Uri};

use crate::operators::{blocks, config, keys, reload, top};
use crate::problem::Problem;
use crate::service::Service;
use crate::{check, forward_auth, health, metrics, openapi, settle};

/// All paths. `openapi.json` describes them, and a test compares the two.
pub(crate) fn routes(service: Service) -> Router {
    let keys = || get(keys::peek).delete(keys::reset);
    Router::new()
        .route("/check", post(check::check))
        .route("/settle", post(settle::settle))
        .route("/auth", any(forward_auth::auth))
        .route("/auth/", any(forward_auth::auth_target))
        .route("/auth/{*target}", any(forward_auth::auth_target))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .route("/rate_limit/config", get(config::show).post(config::post).delete(config::delete))
        .route("/rate_limit/reload", post(reload::reload))
        .route("/rate_limit/keys", keys())
        .route("/rate_limit/keys/{rule}", keys())
        .route("/rate_limit/blocks", get(blocks::list).post(blocks::block).delete(blocks::unblock))
        .route("/rate_limit/top", get(top::top))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(service)
}

async fn unknown(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(80).collect();
    let detail = format!("there is nothing at {path}; expected a path of /openapi.json");
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not answer {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
