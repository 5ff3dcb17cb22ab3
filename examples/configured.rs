//! A service whose limits stand in a file, and change while it runs.
//!
//! ```sh
//! cargo run --example configured                  # 127.0.0.1:3000, by examples/configured.toml
//! cargo run --example configured 127.0.0.1:3001   # or set ADDR
//! LIMITS=my.toml cargo run --example configured
//! ```

use std::process::ExitCode;

use axum::Router;
use axum::routing::get;
use rate_limit_config::{Configuration, ConfiguredLayer, Environment, Reloader};
use rate_limit_examples::{Ended, serve};
use rate_limit_memory::MemoryRepository;

const DEFAULT_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/configured.toml");

#[tokio::main]
async fn main() -> ExitCode {
    rate_limit_examples::run(example()).await
}

async fn example() -> Ended {
    let file = std::env::var("LIMITS").unwrap_or_else(|_| DEFAULT_FILE.to_owned());
    // Variables such as RATE_LIMIT__RULE__API__LIMIT win over the file.
    let environment = Environment::of_process();
    let configuration = Configuration::from_file(&file, &environment)?;
    for warning in configuration.warnings() {
        eprintln!("{warning}");
    }

    // A program that shares its limits with others would open what `configuration.store` says.
    let store = MemoryRepository::builder().build()?;
    let limits = ConfiguredLayer::builder(store).without_fallback().build(configuration)?;

    let reloader = Reloader::of_file(limits.clone(), &file, environment);
    tokio::spawn(reloader.reload_on_hangup()?);
    // Bound to a name, because nothing is watched any more once it is dropped.
    let _watch = reloader.watch()?;

    let app = Router::new()
        .route("/", get(|| async { "Hello! Look at the headers, then change the file.\n" }))
        .route("/login", get(|| async { "Hello again.\n" }))
        .layer(limits);
    let process = std::process::id();
    let hint = format!(
        "Ask, change a limit in {file}, and ask again:\n\n  curl -i {{url}}/\n\n\
         It is read again when it changes, and also on: kill -HUP {process}"
    );
    serve(app, &hint).await
}
