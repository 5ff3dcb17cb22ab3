//! Searches that cost what they turn out to cost: 1,000 units per hour and client address.
//!
//! ```sh
//! cargo run --example weighted_cost                  # 127.0.0.1:3000
//! cargo run --example weighted_cost 127.0.0.1:3001   # or set ADDR
//! ```

use std::process::ExitCode;

use axum::extract::Query;
use axum::routing::get;
use axum::{Extension, Router};
use rate_limit_examples::{Ended, serve};
use rate_limit_tower::{RateLimitHandle, RateLimitLayer, RateLimitPolicy, Rule};
use serde::Deserialize;

const HINT: &str = "\
Every search reserves 100 units. One that looks at 3 rows gets 97 of them back, one that looks at
400 rows pays 300 more. Asking for the quota costs nothing:

  curl -i '{url}/search?rows=3'
  curl -i {url}/quota
  curl -i '{url}/search?rows=400'
  curl -i {url}/quota

What is left does not cover the next reservation after this one:

  curl -i '{url}/search?rows=550'
  curl -i '{url}/search?rows=1'";

/// What a search reserves, because nobody knows beforehand how many rows it will look at.
const RESERVED: u64 = 100;

#[tokio::main]
async fn main() -> ExitCode {
    rate_limit_examples::run(example()).await
}

async fn example() -> Ended {
    let limit = RateLimitLayer::in_memory()
        .rule(
            Rule::new("search")
                .path("/search")
                .path("/quota")
                // A window is not refilled in between, which makes the numbers easy to follow.
                .policy(RateLimitPolicy::per_hour(1_000).fixed_window())
                .cost_from(|request| if request.path() == "/quota" { 0 } else { RESERVED }),
        )
        // Handlers may say what a request has really cost.
        .with_handle()
        .build()?;

    let app = Router::new()
        .route("/search", get(search))
        .route("/quota", get(|| async { "It is in the headers.\n" }))
        .layer(limit);
    serve(app, HINT).await
}

#[derive(Deserialize)]
struct Search {
    rows: u64,
}

async fn search(
    Query(search): Query<Search>,
    Extension(limit): Extension<RateLimitHandle>,
) -> String {
    // The reservation is settled when the response begins. If the handler fails before it reports
    // anything, the reservation stands.
    limit.report_cost(search.rows);
    format!("Looked at {} rows, hence {} units.\n", search.rows, search.rows)
}
