//! Many connections from many addresses at once.
//!
//! Linux answers on all of 127.0.0.0/8, which makes many clients of one machine. The windows are
//! fixed, so that the clock adds nothing while the tests run.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::get;
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::Connection;

/// Serves with 10 per minute and address and 100 per minute for everybody together.
async fn server() -> SocketAddr {
    let limit = RateLimitLayer::in_memory()
        .per_ip(RateLimitPolicy::per_minute(10).named("mine").fixed_window())
        .global(RateLimitPolicy::per_minute(100).named("system").fixed_window())
        .build()
        .unwrap();
    let app = Router::new().route("/", get(|| async { "hello" })).layer(limit);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

const fn client(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, number)
}

/// Opens a connection from each of `sources`, sends `requests` over each, all at once, and returns
/// how many passed over each.
async fn storm(server: SocketAddr, sources: Vec<Ipv4Addr>, requests: usize) -> Vec<usize> {
    let mut connections = JoinSet::new();
    for source in sources {
        connections.spawn(async move {
            let mut connection = Connection::open_from(source, server).await;
            let mut passed = 0;
            for _ in 0..requests {
                let answer = connection.ask("/").await;
                assert!(answer.status == 200 || answer.status == 429);
                passed += usize::from(answer.status == 200);
            }
            passed
        });
    }
    connections.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_share_exactly_what_the_system_allows() {
    let server = server().await;
    let passed = storm(server, (1..=64).map(client).collect(), 20).await;
    assert_eq!(passed.iter().sum::<usize>(), 100);
    assert!(passed.iter().all(|passed| *passed <= 10), "{passed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_stopped_by_their_own_limit_leave_the_rest_to_others() {
    let server = server().await;
    // 64 connections from 8 addresses: 80 pass, 560 are stopped by their own limit.
    let greedy = (0..64).map(|connection| client(1 + connection % 8)).collect();
    assert_eq!(storm(server, greedy, 10).await.iter().sum::<usize>(), 80);
    // Hence 20 are left for all others, not one more or less.
    let modest = (100..164).map(client).collect();
    assert_eq!(storm(server, modest, 5).await.iter().sum::<usize>(), 20);
}
