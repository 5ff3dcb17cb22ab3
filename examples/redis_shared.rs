//! Two instances of a service that share one limit of ten requests per minute in Redis.
//!
//! ```sh
//! cargo run --example redis_shared                  # 127.0.0.1:3000 and a port that is free
//! REDIS_URL=redis://cache:6379 cargo run --example redis_shared
//! ```
//!
//! The instances know nothing of each other, so they could as well be processes on two machines;
//! start this program twice to see four of them share. It starts without Redis, too: until Redis is
//! there, each instance allows half of the limit.

use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use axum::routing::get;
use rate_limit_examples::{Ended, announce, ctrl_c, listen, run};
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
use tokio::net::TcpListener;

const HINT: &str = "\
The other instance is {other}, and both count in the same Redis. Try:

  for i in $(seq 6); do curl -i {url}/; curl -i {other}/; done";

#[tokio::main]
async fn main() -> ExitCode {
    run(serve()).await
}

async fn serve() -> Ended {
    let redis = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let one = listen().await?;
    let other = TcpListener::bind((one.local_addr()?.ip(), 0)).await?;
    let url = format!("http://{}", other.local_addr()?);
    let (first, second) = (instance("one", &redis)?, instance("the other", &redis)?);
    announce(&one, &HINT.replace("{other}", &url))?;
    tokio::try_join!(answer(one, first), answer(other, second))?;
    Ok(())
}

/// An instance with a layer and a connection of its own.
fn instance(name: &'static str, redis: &str) -> Result<Router, Box<dyn std::error::Error>> {
    let limit = RateLimitLayer::in_redis(redis)?
        .per_ip(RateLimitPolicy::per_minute(10).fixed_window())
        .nodes(2)
        .build()?;
    let hello = move || async move { format!("Hello from {name}!\n") };
    Ok(Router::new().route("/", get(hello)).layer(limit))
}

async fn answer(listener: TcpListener, app: Router) -> std::io::Result<()> {
    // This is how the layer learns who is connected.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(ctrl_c()).await
}
