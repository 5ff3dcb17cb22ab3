//! A service for load generators: the same handler bare, behind a limit that nothing reaches, and
//! behind one that everything has reached, once as a layer of the router and once around it.
//! Besides, four services without any limit: one that answers with a document as long as that of a
//! denial, as most services do; one that answers what a denial answers, of which a copy is made; one
//! behind a layer that does nothing; and one behind a layer that answers with such a copy and never
//! calls the handler. What a denial costs beyond the last one is what this layer decides and writes;
//! the rest is what any layer of axum costs and the length of the response.
//!
//! Each listens on a free port of the loopback interface. Prints a line per service, the name and
//! the URL, and runs until it is stopped. `scripts/load` measures them.

#![allow(clippy::print_stdout, reason = "it tells whoever started it where it listens")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{Route, get};
use axum::{Router, ServiceExt};
use rate_limit_tower::{RateLimitBody, RateLimitLayer, RateLimitPolicy};
use tokio::net::TcpListener;
use tower::Layer;
use tower::util::{MapResponse, MapResponseLayer};
use tower::{ServiceBuilder, service_fn};

const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// The body of a denial.
const DENIAL: &str = r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,"detail":"The limit of the policy \"default\" is reached. Try again in 86400 seconds.","violated-policies":["default"],"limits_exceeded":[{"policy":"default","limit":1,"window_seconds":86400,"remaining":0,"retry_after":86400}],"retry_after":86400}"#;

/// What a service answers that has something to say, as long as the body of a denial.
fn document() -> ([(header::HeaderName, &'static str); 1], String) {
    let text = "x".repeat(DENIAL.len() - r#"{"text":""}"#.len());
    ([(header::CONTENT_TYPE, "application/json")], format!(r#"{{"text":"{text}"}}"#))
}

/// The fields of a denial. They are made once and copied, as cheaply as there can be any.
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
    let denial = |fields: &HeaderMap| {
        let mut response = Response::new(Body::from(DENIAL));
        *response.status_mut() = TOO_MANY;
        *response.headers_mut() = fields.clone();
        response
    };
    let fields = Arc::new(denial_fields());
    let copied = fields.clone();
    let constant = get(move || std::future::ready(denial(&copied)));
    let nothing = MapResponseLayer::new(|response: Response| response);
    let ready_made = ServiceBuilder::new().layer_fn(move |_handler: Route| {
        let fields = fields.clone();
        service_fn(move |_: Request| std::future::ready(Ok::<_, Infallible>(denial(&fields))))
    });
    let services = [
        ("unlimited", handler()),
        ("document", Router::new().route("/", get(async || document()))),
        ("constant", Router::new().route("/", constant)),
        ("nothing", handler().layer(nothing)),
        ("ready-made", handler().layer(ready_made)),
        ("admitted", handler().layer(admits)),
        ("denied", handler().layer(denies.clone())),
    ];
    let mut running = tokio::task::JoinSet::new();
    for (name, service) in services {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{name} http://{}/", listener.local_addr()?);
        let service = service.into_make_service_with_connect_info::<SocketAddr>();
        running.spawn(async move { axum::serve(listener, service).await });
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("outside http://{}/", listener.local_addr()?);
    let into_body = |response: Response<RateLimitBody<Body>>| response.map(Body::new);
    let outside = MapResponse::new(denies.layer(handler()), into_body);
    let outside = ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(outside);
    running.spawn(async move { axum::serve(listener, outside).await });
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}
