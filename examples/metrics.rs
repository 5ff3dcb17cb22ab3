//! An axum service that counts what its limits decide, where Prometheus can read it.
//!
//! ```sh
//! cargo run --example metrics                  # 127.0.0.1:3000
//! cargo run --example metrics 127.0.0.1:3001   # or set ADDR
//! ```

use std::process::ExitCode;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusBuilder;
use rate_limit_examples::{Ended, serve};
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy, Rule};

const HINT: &str = "\
Ask more often than 5 times a minute, and see what was counted:

  for i in $(seq 8); do curl -so /dev/null -w '%{http_code} ' {url}/; done; echo
  curl -s {url}/metrics | grep rate_limit";

#[tokio::main]
async fn main() -> ExitCode {
    rate_limit_examples::run(example()).await
}

async fn example() -> Ended {
    // Before the layer is built: it registers its counters with the recorder that is there.
    let recorder = PrometheusBuilder::new().install_recorder()?;

    let limit = RateLimitLayer::in_memory()
        .rule(Rule::new("hello").policy(RateLimitPolicy::per_minute(5).named("per-address")))
        .build()?;

    let metrics = move || async move {
        // Histograms are summed up when somebody asks for them.
        recorder.run_upkeep();
        recorder.render()
    };
    let app = Router::new()
        .route("/", get(|| async { "Hello!\n" }))
        .layer(limit)
        // Added after the layer, hence not limited.
        .route("/metrics", get(metrics));
    serve(app, HINT).await
}
