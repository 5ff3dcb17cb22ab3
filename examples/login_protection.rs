//! A sign-in that allows each client address five failures per minute and any number of successes.
//!
//! ```sh
//! cargo run --example login_protection                  # 127.0.0.1:3000
//! cargo run --example login_protection 127.0.0.1:3001   # or set ADDR
//! ```

use std::process::ExitCode;

use axum::http::{Method, StatusCode};
use axum::routing::post;
use axum::{Form, Router};
use rate_limit_examples::{Ended, serve};
use rate_limit_tower::{Key, RateLimitLayer, RateLimitPolicy, Rule};
use serde::Deserialize;

const HINT: &str = "\
The right password, as often as you like:

  for i in $(seq 20); do curl -so /dev/null -w '%{http_code} ' \\
    -d 'user=ada&password=difference' {url}/login; done; echo

A wrong one, five times per minute. After that, the right one has to wait too:

  for i in $(seq 7); do curl -so /dev/null -w '%{http_code} ' \\
    -d 'user=ada&password=guess' {url}/login; done; echo
  curl -i -d 'user=ada&password=difference' {url}/login";

#[tokio::main]
async fn main() -> ExitCode {
    rate_limit_examples::run(example()).await
}

async fn example() -> Ended {
    // A log keeps to its limit in every minute, wherever that begins, and costs little memory
    // because the limit is small.
    let failures = RateLimitPolicy::per_minute(5).sliding_log();
    let limit = RateLimitLayer::in_memory()
        .rule(
            Rule::new("login")
                .methods([Method::POST])
                .path("/login")
                .key(Key::ip())
                .policy(failures)
                // Every attempt takes a unit before the password is looked at, so that many guesses
                // at a time cannot slip through. Unless it is answered with this status, the unit
                // is given back.
                .count_only(|response| response.status() == StatusCode::UNAUTHORIZED),
        )
        .build()?;

    let app = Router::new().route("/login", post(login)).layer(limit);
    serve(app, HINT).await
}

#[derive(Deserialize)]
struct Credentials {
    user: String,
    password: String,
}

/// A real service would compare a salted hash, in constant time.
async fn login(Form(credentials): Form<Credentials>) -> (StatusCode, String) {
    if credentials.password == "difference" {
        (StatusCode::OK, format!("Welcome, {}!\n", credentials.user))
    } else {
        (StatusCode::UNAUTHORIZED, "That is not the password.\n".to_owned())
    }
}
