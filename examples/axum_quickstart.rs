//! An axum service that allows each client address 100 requests per minute.
//!
//! ```sh
//! cargo run --example axum_quickstart                  # 127.0.0.1:3000
//! cargo run --example axum_quickstart 127.0.0.1:3001   # or set ADDR
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let limit = RateLimitLayer::in_memory().per_ip(RateLimitPolicy::per_minute(100)).build()?;

    let app = Router::new()
        .route("/", get(|| async { "Hello! Look at the headers.\n" }))
        .route("/boom", get(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "boom\n") }))
        .layer(limit)
        // Added after the layer, hence not limited.
        .route("/health", get(|| async { "ok\n" }));

    let listener = listen().await?;
    let url = format!("http://{}/", listener.local_addr()?);
    println!("Listening on {url}. Stop with Ctrl-C. Try:\n\n  curl -i {url}\n");
    println!("And to see a 429 after 100 requests:\n");
    println!("  for i in $(seq 105); do curl -so /dev/null -w '%{{http_code}} ' {url}; done; echo");

    // This is how the layer learns who is connected.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(ctrl_c()).await?;
    Ok(())
}

/// Listens where the first argument says, or else `ADDR`, or else on port 3000.
async fn listen() -> Result<TcpListener, String> {
    let asked = std::env::args().nth(1).or_else(|| std::env::var("ADDR").ok());
    let address = asked.unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    TcpListener::bind(&address).await.map_err(|error| {
        format!(
            "cannot listen on {address}: {error}; choose another address with \
             `cargo run --example axum_quickstart 127.0.0.1:3001` or with the variable ADDR"
        )
    })
}

async fn ctrl_c() {
    // Without a way to hear of Ctrl-C, the program runs until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
