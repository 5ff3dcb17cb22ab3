//! An axum service behind a proxy: each client has its own limit, and none can claim to be another.
//!
//! ```sh
//! cargo run --example behind_proxy                              # a proxy on this machine
//! cargo run --example behind_proxy 0.0.0.0:3000 10.0.0.10 10.0.0.11   # two on others
//! ```
//!
//! The first argument is where to listen, the others are the addresses or networks of the proxies.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::routing::get;
use rate_limit_tower::{
    ClientAddress, ForwardingHeader, RateLimitLayer, RateLimitPolicy, TrustedProxies,
};
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
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let mut proxies: Vec<String> = arguments.collect();
    if proxies.is_empty() {
        proxies = vec!["127.0.0.1".to_owned(), "::1".to_owned()];
    }

    // Both are named: the header, and who is believed when sending it.
    let client_address =
        ClientAddress::forwarded(ForwardingHeader::XForwardedFor, TrustedProxies::parse(&proxies)?);
    let limit = RateLimitLayer::in_memory()
        .client_address(client_address.clone())
        .per_ip(RateLimitPolicy::per_minute(5))
        .build()?;

    // The same setting tells a handler whose limit a request counted for.
    let who = move |ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap| async move {
        match client_address.address_of(Some(peer.ip()), &headers) {
            Some(client) => format!("You are {client}.\n"),
            None => "You have no address.\n".to_owned(),
        }
    };
    let app = Router::new().route("/", get(who)).layer(limit);

    let listener = TcpListener::bind(&address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let url = format!("http://{}/", listener.local_addr()?);
    println!("Listening on {url}. Stop with Ctrl-C. Trusted: {}.", proxies.join(", "));
    println!("If you play the proxy, the hop on the right is what you saw:\n");
    println!("  curl -i -H 'X-Forwarded-For: 203.0.113.9' {url}\n");
    println!("Whatever a client puts to the left of it, the limit stays the same one:\n");
    println!("  for i in $(seq 7); do curl -so /dev/null -w '%{{http_code}} ' \\");
    println!("    -H \"X-Forwarded-For: 192.0.2.$i, 203.0.113.9\" {url}; done; echo");

    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(ctrl_c()).await?;
    Ok(())
}

async fn ctrl_c() {
    // Without a way to hear of Ctrl-C, the program runs until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
