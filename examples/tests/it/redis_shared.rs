//! `redis_shared`: two instances in each of two processes, and one limit.

use std::net::SocketAddr;
use std::time::Duration;

use redis_testbed::RedisServer;
use tokio::time::Instant;

use crate::process::{Example, binary};
use crate::support::Connection;

/// Generous, for a loaded machine.
const DEADLINE: Duration = Duration::from_secs(60);

async fn ask(address: SocketAddr) -> u16 {
    Connection::open(address).await.ask("/").await.status.as_u16()
}

/// The addresses of both instances.
fn instances(example: &mut Example) -> [SocketAddr; 2] {
    let printed = example.printed_up_to("seq 6");
    let other = printed.split("http://").nth(2).unwrap().split(',').next().unwrap();
    let other = other.parse().unwrap();
    [example.address, other]
}

/// Asks until Redis is asked. Before there is a connection, each instance decides for itself.
async fn asks_redis(address: SocketAddr, server: &RedisServer) {
    let calls = || server.calls("evalsha").unwrap() + server.calls("eval").unwrap();
    let (started, before) = (Instant::now(), calls());
    while calls() == before {
        assert!(started.elapsed() < DEADLINE, "Redis is not asked");
        ask(address).await;
    }
}

#[tokio::test]
async fn two_processes_with_two_instances_each_share_one_limit() {
    let server = RedisServer::start().unwrap();
    let url = server.url();
    let start = || Example::start_with("redis_shared", &[("REDIS_URL", &url)]);
    let mut processes = [start(), start()];
    let addresses: Vec<SocketAddr> = processes.iter_mut().flat_map(instances).collect();
    let started = Instant::now();
    loop {
        for address in &addresses {
            asks_redis(*address, &server).await;
        }
        server.command(&["FLUSHALL"]).unwrap();
        let mut passed = 0;
        for address in addresses.iter().cycle().take(12) {
            passed += u32::from(ask(*address).await == 200);
        }
        if passed == 10 {
            break;
        }
        // On a loaded machine a decision may take longer than 25 ms, and is then made without
        // Redis.
        assert!(started.elapsed() < DEADLINE, "{passed} of 12 passed, among four instances");
    }
    // Both processes go, and a new one knows what they have counted.
    drop(processes);
    let mut again = start();
    let [one, other] = instances(&mut again);
    for address in [one, other] {
        asks_redis(address, &server).await;
        assert_eq!(ask(address).await, 429);
    }
}

#[tokio::test]
async fn without_redis_each_instance_allows_its_share() {
    // Nobody listens on a port that was just given back.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("redis://{free}");
    let mut example = Example::start_with("redis_shared", &[("REDIS_URL", &url)]);
    for address in instances(&mut example) {
        for _ in 0..5 {
            assert_eq!(ask(address).await, 200);
        }
        assert_eq!(ask(address).await, 429, "half of ten");
    }
}

#[test]
fn an_unusable_url_is_one_clear_line_without_its_password() {
    let output = std::process::Command::new(binary("redis_shared"))
        .arg("127.0.0.1:0")
        .env("REDIS_URL", "http://user:secret-word@cache")
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("expected redis") && !error.contains("secret-word"), "{error}");
}
