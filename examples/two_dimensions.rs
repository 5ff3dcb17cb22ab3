//! Taps of cards at a gate: 500 per day and card, and 600 per day and client address.
//!
//! ```sh
//! cargo run --example two_dimensions                  # 127.0.0.1:3000
//! cargo run --example two_dimensions 127.0.0.1:3001   # or set ADDR
//! CARD_PER_DAY=3 IP_PER_DAY=4 cargo run --example two_dimensions
//! ```

use std::process::ExitCode;

use axum::Router;
use axum::routing::post;
use rate_limit_examples::{Ended, serve};
use rate_limit_tower::{Key, MissingIdentity, RateLimitLayer, RateLimitPolicy, Rule};

const HINT: &str = "\
Tap with a card, and look at both policies in the headers:

  curl -i -X POST -H 'X-Card: 1111' {url}/tap

Use up the card. Its denials take nothing from the address, which has taps left for another card:

  for i in $(seq 501); do curl -so /dev/null -w '%{http_code} ' \\
    -X POST -H 'X-Card: 1111' {url}/tap; done; echo
  curl -i -X POST -H 'X-Card: 2222' {url}/tap";

#[tokio::main]
async fn main() -> ExitCode {
    rate_limit_examples::run(example()).await
}

async fn example() -> Ended {
    let per_card = RateLimitPolicy::per_day(setting("CARD_PER_DAY", 500)?);
    let per_ip = RateLimitPolicy::per_day(setting("IP_PER_DAY", 600)?);
    let limit = RateLimitLayer::in_memory()
        // Of one group, one rule applies. These two apply together, so each has its own group.
        // Either both have room and both are charged, or neither is.
        .rule(
            Rule::new("card")
                .group("card")
                .path("/tap")
                .key(Key::header("x-card"))
                // Without a card there is nothing to tap with.
                .on_missing_identity(MissingIdentity::Reject)
                .policy(per_card.fixed_window()),
        )
        // A card number costs nothing to make up; an address does.
        .rule(Rule::new("ip").group("ip").path("/tap").key(Key::ip()).policy(per_ip.fixed_window()))
        .build()?;

    let app = Router::new().route("/tap", post(|| async { "Come in.\n" })).layer(limit);
    serve(app, HINT).await
}

/// What the variable says, for a demonstration that does not take hundreds of requests.
fn setting(variable: &str, default: u64) -> Result<u64, String> {
    match std::env::var(variable) {
        Ok(value) => value
            .parse()
            .map_err(|_| format!("{variable} is {value:?}; expected a number, such as {default}")),
        Err(_) => Ok(default),
    }
}
