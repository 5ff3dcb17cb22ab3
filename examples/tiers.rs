//! Tiers: 5 requests per hour for anybody, 20 for customers, 200 for those who pay more.
//!
//! ```sh
//! cargo run --example tiers                  # 127.0.0.1:3000
//! cargo run --example tiers 127.0.0.1:3001   # or set ADDR
//! ```

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use rate_limit_examples::{Ended, serve};
use rate_limit_tower::{
    ClientIdentity, Key, MissingIdentity, Policies, RateLimitLayer, RateLimitPolicy, Rule,
};

const HINT: &str = "\
Without a token, your address may ask 5 times; with one, its owner may ask 20 times:

  curl -i {url}/
  curl -i -H 'Authorization: Bearer ada' {url}/

Pay, and what was used before stays used:

  curl -X POST {url}/upgrade
  curl -i -H 'Authorization: Bearer ada' {url}/";

/// What the authentication below finds out and puts into the extensions of the request.
#[derive(Clone)]
struct Account {
    name: &'static str,
    tier: Tier,
}

#[derive(Clone, Copy)]
enum Tier {
    Standard,
    Premium,
}

#[tokio::main]
async fn main() -> ExitCode {
    rate_limit_examples::run(example()).await
}

async fn example() -> Ended {
    // The same name, algorithm and window, hence the same bucket in every tier: a window keeps the
    // count when the tier changes, a token bucket the share that was used.
    let hourly = |limit| RateLimitPolicy::per_hour(limit).named("api").fixed_window();
    let standard = Policies::new([hourly(20)])?;
    let premium = Policies::new([hourly(200)])?;

    let limit = RateLimitLayer::in_memory()
        .rule(
            Rule::new("anonymous")
                .group("anonymous")
                .key(Key::ip())
                .policy(hourly(5))
                .exempt(|request| request.extensions().get::<Account>().is_some()),
        )
        .rule(
            Rule::new("account")
                .group("account")
                .key(Key::extension(|account: &Account| ClientIdentity::user(account.name).ok()))
                .on_missing_identity(MissingIdentity::Skip)
                .policies_from(move |request| match request.extensions().get::<Account>()?.tier {
                    Tier::Standard => Some(standard.clone()),
                    Tier::Premium => Some(premium.clone()),
                }),
        )
        .build()?;

    let has_paid = Arc::new(AtomicBool::new(false));
    let app = Router::new()
        .route("/", get(|| async { "Hello! Look at the headers.\n" }))
        .layer(limit)
        // Added later, hence run earlier: the limit sees what the authentication found out.
        .layer(from_fn_with_state(has_paid.clone(), authenticate))
        .route("/upgrade", post(upgrade))
        .with_state(has_paid);
    serve(app, HINT).await
}

/// Knows one token, which is the name of its owner. A token that is wrong is refused here: the
/// limits below only ever see clients that are known or say that they are not.
async fn authenticate(
    State(has_paid): State<Arc<AtomicBool>>,
    mut request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    if let Some(token) = request.headers().get(header::AUTHORIZATION) {
        if token != "Bearer ada" {
            return Err(StatusCode::UNAUTHORIZED);
        }
        let tier = if has_paid.load(Ordering::Relaxed) { Tier::Premium } else { Tier::Standard };
        request.extensions_mut().insert(Account { name: "ada", tier });
    }
    Ok(next.run(request).await)
}

async fn upgrade(State(has_paid): State<Arc<AtomicBool>>) -> &'static str {
    has_paid.store(true, Ordering::Relaxed);
    "Ada is a premium customer now.\n"
}
