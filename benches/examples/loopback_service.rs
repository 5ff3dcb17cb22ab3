//! A service for load generators: the same handler bare, behind a limit that nothing reaches, and
//! behind one that everything has reached. Besides, two handlers without any limit: one that answers
//! with a document as long as that of a denial, as most services do, and one that answers what a
//! denial answers, made once. What a denial costs beyond the latter is the layer; the rest is the
//! length of the response.
//!
//! Each listens on a free port of the loopback interface. Prints a line per service, the name and
//! the URL, and runs until it is stopped. `scripts/load` measures them.

#![allow(clippy::print_stdout, reason = "it tells whoever started it where it listens")]

use std::net::SocketAddr;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
use tokio::net::TcpListener;

const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// The body of a denial.
const DENIAL: &str = r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,"detail":"The limit of the policy \"default\" is reached. Try again in 86400 seconds.","violated-policies":["default"],"limits_exceeded":[{"policy":"default","limit":1,"window_seconds":86400,"remaining":0,"retry_after":86400}],"retry_after":86400}"#;

/// What a service answers that has something to say, as long as the body of a denial.
fn document() -> ([(header::HeaderName, &'static str); 1], String) {
    let text = "x".repeat(DENIAL.len() - r#"{"text":""}"#.len());
    ([(header::CONTENT_TYPE, "application/json")], format!(r#"{{"text":"{text}"}}"#))
}

/// The fields of a denial, as cheaply as they can be made.
fn denial_fields() -> HeaderMap {
    let fields = [
        ("x-ratelimit-limit", "1"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1795324377"),
        ("ratelimit", "\"default\";r=0;t=86400"),
        ("ratelimit-policy", "\"default\";q=1;w=86400"),
    ];
    let mut all = HeaderMap::with_capacity(8);
    all.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
    all.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    all.insert(header::RETRY_AFTER, header::HeaderValue::from_static("86400"));
    for (name, value) in fields {
        all.insert(name, header::HeaderValue::from_static(value));
    }
    all
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let handler = || Router::new().route("/", get(async || "hello"));
    let unreached = RateLimitPolicy::per_second(1_000_000).burst(u64::from(u32::MAX));
    let admits = RateLimitLayer::in_memory().per_ip(unreached).build()?;
    let denies = RateLimitLayer::in_memory().per_ip(RateLimitPolicy::per_day(1)).build()?;
    let services = [
        ("unlimited", handler()),
        ("document", Router::new().route("/", get(async || document()))),
        ("constant", Router::new().route("/", get(async || (TOO_MANY, denial_fields(), DENIAL)))),
        ("admitted", handler().layer(admits)),
        ("denied", handler().layer(denies)),
    ];
    let mut running = tokio::task::JoinSet::new();
    for (name, service) in services {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{name} http://{}/", listener.local_addr()?);
        let service = service.into_make_service_with_connect_info::<SocketAddr>();
        running.spawn(async move { axum::serve(listener, service).await });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}
