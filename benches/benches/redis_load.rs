//! What does a limit in Redis add to a request under load? 100 clients with a connection each ask an
//! axum application 1,000 times per second in all, once without a limit and once with one, and the
//! same with the limit in memory.
//!
//! Requests begin when the schedule says so and not when the one before has ended, so a slow answer
//! is not hidden by waiting for it. A table is printed; what is asserted is that the limit in Redis
//! admitted exactly what it should.
//!
//! ```sh
//! cargo bench -p rate-limit-benches --bench redis_load              # starts a server of its own
//! REDIS_URL=redis://host:6379 cargo bench -p rate-limit-benches --bench redis_load
//! ```

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark, which reads the clock"
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rate_limit_tower::{
    FailureMode, Key, MemoryRepository, RateLimitLayer, RateLimitPolicy, RateLimitRepository,
    RedisRepository, Rule,
};
use redis_testbed::RedisServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

const CLIENTS: usize = 100;
/// Of each client; together 1,000 per second.
const PERIOD: Duration = Duration::from_millis(100);
const SECONDS: usize = 10;
const REQUESTS: usize = SECONDS * 10;
/// Per client and day, so that time adds nothing: the last tenth is denied.
const LIMIT: usize = REQUESTS * 9 / 10;

/// What one client saw.
#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    admitted: usize,
    denied: usize,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let own = RedisServer::start();
        let url = std::env::var("REDIS_URL").unwrap_or_else(|_| match &own {
            Ok(server) => server.url(),
            Err(error) => panic!("{error}"),
        });
        let router = || Router::new().route("/", get(async || "ok"));
        let bare = load(serve(router()).await).await;
        let memory = limited(MemoryRepository::new());
        let memory = load(serve(router().layer(memory.build().unwrap())).await).await;
        // A prefix of its own, so that two runs do not count together.
        let prefix = format!("load-{}", std::process::id());
        // More than the default of 25 ms, so that a machine that does a lot else shows in the table
        // and not in what is counted.
        let patience = Duration::from_secs(2);
        let store = RedisRepository::builder(&url).key_prefix(prefix).timeout(patience);
        let store = store.build().unwrap();
        await_connection(&store).await;
        let redis = limited(store.clone());
        let redis = load(serve(router().layer(redis.build().unwrap())).await).await;

        println!("{CLIENTS} clients, {} requests/s, {SECONDS} s each\n", CLIENTS * 10);
        println!("| limit | average | P50 | P95 | P99 | longest | admitted | denied |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        for (name, seen) in [("none", &bare), ("in memory", &memory), ("in Redis", &redis)] {
            println!("| {name} | {} |", row(seen));
        }
        println!("\nAdded by the limit in Redis, percentile by percentile:\n");
        println!("| average | P50 | P95 | P99 |\n| --- | --- | --- | --- |");
        let added = |of: fn(&Seen) -> Duration| millis(of(&redis).saturating_sub(of(&bare)));
        println!(
            "| {} | {} | {} | {} |",
            added(average),
            added(|seen| percentile(seen, 500)),
            added(|seen| percentile(seen, 950)),
            added(|seen| percentile(seen, 990)),
        );
        println!("\n{} denials were answered from memory", store.denied_from_memory());
        assert_eq!(redis.admitted, CLIENTS * LIMIT, "the limit is exact");
        assert_eq!(redis.denied, CLIENTS * (REQUESTS - LIMIT), "and everybody was answered");
    });
}

fn limited<R: RateLimitRepository + 'static>(
    store: R,
) -> rate_limit_tower::RateLimitLayerBuilder<R> {
    let daily = RateLimitPolicy::per_day(LIMIT as u64).fixed_window();
    // What is not decided by the store counts as a failure of this benchmark.
    let daily = daily.on_failure(FailureMode::Deny);
    RateLimitLayer::builder(store)
        .without_fallback()
        .rule(Rule::new("all").key(Key::header("client")).policy(daily))
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

async fn await_connection(store: &RedisRepository) {
    let mut changes = store.health_changes();
    while !store.health().is_well() {
        changes.next().await;
    }
}

/// Lets all clients ask on their schedules; returns what they saw together.
async fn load(server: SocketAddr) -> Seen {
    let started = tokio::time::Instant::now() + PERIOD;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        // Spread over the period, as clients are.
        let first = started + PERIOD * u32::try_from(number).unwrap() / 100;
        clients.spawn(client(server, number, first));
    }
    let mut all = Seen::default();
    while let Some(seen) = clients.join_next().await {
        let seen = seen.unwrap();
        all.latencies.extend(seen.latencies);
        all.admitted += seen.admitted;
        all.denied += seen.denied;
    }
    all.latencies.sort_unstable();
    all
}

async fn client(server: SocketAddr, number: usize, first: tokio::time::Instant) -> Seen {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: here\r\nclient: client-{number}\r\n\r\n");
    let mut pace = tokio::time::interval_at(first, PERIOD);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut seen, mut buffer) = (Seen::default(), Vec::new());
    for _ in 0..REQUESTS {
        let due: Instant = pace.tick().await.into();
        stream.write_all(request.as_bytes()).await.unwrap();
        match status(&mut stream, &mut buffer).await {
            200 => seen.admitted += 1,
            429 => seen.denied += 1,
            other => panic!("status {other}: Redis did not decide in time"),
        }
        seen.latencies.push(due.elapsed());
    }
    seen
}

/// Reads one response to its end; returns its status.
async fn status(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> u16 {
    buffer.clear();
    loop {
        let head = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if let Some(end) = head {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap().parse().unwrap();
            if buffer.len() >= end + 4 + length {
                return head.split(' ').nth(1).unwrap().parse().unwrap();
            }
        }
        assert!(stream.read_buf(buffer).await.unwrap() > 0, "the server hung up");
    }
}

fn percentile(seen: &Seen, per_mille: usize) -> Duration {
    let place = (seen.latencies.len() * per_mille / 1_000).min(seen.latencies.len() - 1);
    seen.latencies[place]
}

fn average(seen: &Seen) -> Duration {
    seen.latencies.iter().sum::<Duration>() / u32::try_from(seen.latencies.len()).unwrap()
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

fn row(seen: &Seen) -> String {
    let mut cells = vec![millis(average(seen))];
    cells.extend([500, 950, 990, 1_000].map(|per_mille| millis(percentile(seen, per_mille))));
    cells.extend([seen.admitted.to_string(), seen.denied.to_string()]);
    cells.join(" | ")
}
