//! An axum application behind the layer, over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rate_limit_core::{FailureMode, RateLimitPolicy, RateLimitPolicyBuilder};
use rate_limit_memory::MemoryRepository;
use rate_limit_redis::RedisRepositoryBuilder;
use rate_limit_tower::{Key, RateLimitLayer, Rule};
use redis_testbed::proxy::Replies;
use redis_testbed::{Proxy, RedisServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{EVENTUALLY, eventually, patient};

/// Serves an application in which every client, named in a header, has the policy for itself.
async fn serve(store: RedisRepositoryBuilder, policy: RateLimitPolicyBuilder) -> SocketAddr {
    let limit = RateLimitLayer::builder(store.build().unwrap())
        .fallback(MemoryRepository::new())
        .rule(Rule::new("everything").key(Key::header("client")).policy(policy))
        .build()
        .unwrap();
    let app = Router::new().route("/", get(|| async { "ok" })).layer(limit);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

async fn send(address: SocketAddr, client: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: here\r\nclient: {client}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// The head of one response, in lower case.
async fn ask(address: SocketAddr, client: &str) -> String {
    let mut stream = send(address, client).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn remaining(head: &str) -> u64 {
    field(head, "x-ratelimit-remaining").unwrap_or_else(|| panic!("{head}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_deny_answers_503_with_a_wait_and_without_limits() {
    let server = RedisServer::start().unwrap();
    let policy = RateLimitPolicy::per_minute(1_000).on_failure(FailureMode::Deny);
    let address = serve(patient(&server.url()), policy).await;
    let served = async || ask(address, "a").await.starts_with("http/1.1 200");
    eventually("requests are served", served).await;
    server.kill().unwrap();
    let refused = async || !served().await;
    eventually("the outage is noticed", refused).await;
    for _ in 0..100 {
        let head = ask(address, "a").await;
        assert!(head.starts_with("http/1.1 503"), "{head}");
        let wait: u64 = field(&head, "retry-after").unwrap().parse().unwrap();
        assert!(wait >= 1, "{head}");
        assert!(!head.contains("ratelimit"), "{head}");
    }
    server.restart().unwrap();
    eventually("requests are served again", served).await;
}

/// Clients who go away in the middle of their decisions disturb nobody: the others see their own
/// buckets, one unit less with each request, and afterwards every place is free again.
#[tokio::test(flavor = "multi_thread")]
async fn r17_ten_thousand_clients_who_go_away_mix_up_no_reply() {
    const ABORTS: usize = 10_000;
    const AT_ONCE: usize = 200;
    const LIMIT: u64 = 1_000_000;
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::start(server.address()).unwrap();
    let policy = RateLimitPolicy::per_day(LIMIT).fixed_window();
    // As long as there is, so that the fallback never decides; fewer places than clients go away.
    let store = patient(&proxy.url()).timeout(Duration::from_secs(10)).max_in_flight(ABORTS / 5);
    let address = serve(store, policy).await;
    eventually("the store decides", async || {
        ask(address, "first").await;
        // Calls would tell of readiness checks as well.
        server.command(&["DBSIZE"]).unwrap() != redis::Value::Int(0)
    })
    .await;
    // Long enough on the way that many go away meanwhile.
    proxy.set_replies(Replies::Delay(Duration::from_millis(5)));

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut steady = JoinSet::new();
    for number in 0..8 {
        let stopped = stopped.clone();
        steady.spawn(async move {
            let (client, mut asked) = (format!("steady-{number}"), 0);
            while !*stopped.borrow() {
                asked += 1;
                let head = ask(address, &client).await;
                assert_eq!(remaining(&head), LIMIT - asked, "{client}: {head}");
            }
            asked
        });
    }
    let mut leaving = JoinSet::new();
    for number in 0..ABORTS {
        if leaving.len() == AT_ONCE {
            leaving.join_next().await.unwrap().unwrap();
        }
        leaving.spawn(async move {
            let mut stream = send(address, &format!("leaving-{}", number % 50)).await;
            let patience = Duration::from_micros(fastrand::u64(0..10_000));
            let mut byte = [0];
            tokio::time::timeout(patience, stream.read(&mut byte)).await.is_ok()
        });
    }
    let mut answered = 0;
    while let Some(heard) = leaving.join_next().await {
        answered += usize::from(heard.unwrap());
    }
    stop.send(true).unwrap();
    let mut asked = 0;
    while let Some(count) = steady.join_next().await {
        asked += count.unwrap();
    }
    println!("R17: {ABORTS} went away, {asked} steady requests saw their own bucket throughout");
    println!("R17: of the last {AT_ONCE}, {answered} heard an answer before they went");

    // Places that nobody gave back would be missing now.
    let mut last = JoinSet::new();
    for _ in 0..AT_ONCE {
        last.spawn(async move { remaining(&ask(address, "last").await) });
    }
    let mut left = LIMIT;
    let all = tokio::time::timeout(EVENTUALLY, async {
        while let Some(one) = last.join_next().await {
            left = left.min(one.unwrap());
        }
    });
    all.await.expect("everybody is answered");
    assert_eq!(left, LIMIT - AT_ONCE as u64);
}
