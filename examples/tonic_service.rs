//! gRPC and HTTP on one port, behind one limit: 10 requests per minute and client address.
//!
//! The gRPC service is the standard health check, which needs no code generation.
//!
//! ```sh
//! cargo run --example tonic_service                  # 127.0.0.1:3000
//! cargo run --example tonic_service 127.0.0.1:3001   # or set ADDR
//! ```

use std::process::ExitCode;

use axum::Router;
use axum::routing::get;
use rate_limit_examples::{Ended, serve};
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
use tonic::service::Routes;

const HINT: &str = "\
Ask over HTTP, which is answered with 429 from the 11th time on:

  for i in $(seq 12); do curl -so /dev/null -w '%{http_code} ' {url}/; done; echo
  curl -i {url}/

The same client asks over gRPC and is told in the words of gRPC, `grpc-status: 8`:

  printf '\\0\\0\\0\\0\\0' | curl -si --http2-prior-knowledge -H 'te: trailers' \\
    -H 'content-type: application/grpc' --data-binary @- \\
    {url}/grpc.health.v1.Health/Check";

#[tokio::main]
async fn main() -> ExitCode {
    rate_limit_examples::run(example()).await
}

async fn example() -> Ended {
    let limit = RateLimitLayer::in_memory().per_ip(RateLimitPolicy::per_minute(10)).build()?;

    let (_, health) = tonic_health::server::health_reporter();
    let app = Router::new()
        .route("/", get(|| async { "Hello! Look at the headers.\n" }))
        // The services of tonic are routes like any other.
        .merge(Routes::new(health).into_axum_router())
        // Added last, hence around both. It tells the protocols apart by their content types.
        .layer(limit);
    serve(app, HINT).await
}
