//! A store of your own: 5 requests per minute and client address, kept in a `HashMap`.
//!
//! ```sh
//! cargo run --example custom_repository                  # 127.0.0.1:3000
//! cargo run --example custom_repository 127.0.0.1:3001   # or set ADDR
//! ```

use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use rate_limit_examples::{Ended, serve};
use rate_limit_memory::SystemClock;
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};

mod store;

use store::MapRepository;

const HINT: &str = "\
Every client address has a bucket in the map; the last line says how many there are:

  for i in $(seq 7); do curl -so /dev/null -w '%{http_code} ' {url}/; done; echo
  curl -i {url}/
  curl {url}/buckets";

#[tokio::main]
async fn main() -> ExitCode {
    rate_limit_examples::run(example()).await
}

async fn example() -> Ended {
    let store = Arc::new(MapRepository::new(SystemClock::new()));
    // An `Arc` of a store is a store.
    let limit = RateLimitLayer::builder(store.clone())
        .per_ip(RateLimitPolicy::per_minute(5))
        // It lives in this process and always answers. A store that may not needs a fallback.
        .without_fallback()
        .build()?;

    let app = Router::new()
        .route("/", get(|| async { "Hello! Look at the headers.\n" }))
        .layer(limit)
        .route("/buckets", get(count))
        .with_state(store);
    serve(app, HINT).await
}

async fn count(State(store): State<Arc<MapRepository<SystemClock>>>) -> String {
    format!("{} buckets\n", store.len())
}
