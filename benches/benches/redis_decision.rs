//! One decision over Redis: how many per second, and what each costs the server.
//!
//! Every contender asks the same server over one connection from one thread, in short turns, and is
//! compared with what the first one did in the same round: a machine that is now faster and now slower
//! changes both alike. `plain EVALSHA` is the least that an exact limiter can send for each decision:
//! a script with one bucket, one read, one write and the server's time. All enforce the same limit.
//!
//! `cargo bench -p rate-limit-benches --bench redis_decision [-- SECONDS ROUNDS [IN_FLIGHT]...]`

#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a program that measures time and may fail loudly"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rate_limit_benches::{addresses, charges};
use rate_limit_core::{Charges, RateLimitPolicy, RateLimitRepository};
use rate_limit_redis::RedisRepository;
use redis::aio::MultiplexedConnection;
use redis_testbed::RedisServer;
use throttle_kit::{Quota, RateLimitBackend, RedisBackend};

const CLIENTS: usize = 10_000;
const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];

/// One unit per hour: never reached, and slow enough that keys live on.
const MICROS_PER_UNIT: u64 = 3_600_000_000;
const BURST: u32 = 800_000;

/// GCRA in microseconds: burst and rate of one policy, nothing else.
const PLAIN: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = tonumber(redis.call('GET', KEYS[1]) or 0)
if full < now then full = now end
full = full + ARGV[1]
if full - now > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], string.format('%d', full), 'PX', math.ceil((full - now) / 1000))
return 1";

/// Who is measured.
enum Contender {
    Plain { connection: MultiplexedConnection, sha1: String },
    Ours { store: RedisRepository, charges: Vec<Charges> },
    ThrottleKit { backend: RedisBackend, quota: Quota },
}

impl Contender {
    async fn ask(&self, client: usize) -> bool {
        match self {
            Self::Plain { connection, sha1 } => {
                let mut command = redis::Cmd::with_capacity(6, 128);
                let key = format!("plain:{{{client:032x}}}");
                command
                    .arg("EVALSHA")
                    .arg(sha1)
                    .arg(1)
                    .arg(key)
                    .arg(MICROS_PER_UNIT)
                    .arg(MICROS_PER_UNIT * u64::from(BURST));
                let admitted: u8 = command.query_async(&mut connection.clone()).await.unwrap();
                admitted == 1
            }
            Self::Ours { store, charges } => {
                let outcomes = store.acquire(&charges[client]).await.unwrap();
                outcomes.iter().all(|outcome| !outcome.is_violated())
            }
            Self::ThrottleKit { backend, quota } => {
                backend.check(&format!("throttle-kit:{client:032x}"), quota).await.allowed
            }
        }
    }
}

/// What one measurement found.
#[derive(Clone, Copy, Default)]
struct Figures {
    per_second: f64,
    /// Processor time of the server's main thread for each decision.
    server_micros: f64,
    /// Processor time of this process for each decision.
    client_micros: f64,
    decisions_per_call: f64,
}

/// `in_flight` tasks ask without a pause for as long as `length`.
async fn measure(
    server: &RedisServer,
    contender: &Arc<Contender>,
    in_flight: usize,
    length: Duration,
) -> Figures {
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (server_before, client_before) = (server_seconds(server), own_seconds());
    let calls_before = calls(server);
    let started = Instant::now();
    let tasks: Vec<_> = (0..in_flight)
        .map(|task| {
            let (contender, stop, asked) = (contender.clone(), stop.clone(), asked.clone());
            tokio::spawn(async move {
                let mut client = task * 7_919 % CLIENTS;
                while !stop.load(Ordering::Relaxed) {
                    assert!(contender.ask(client).await, "the limits are never reached");
                    asked.fetch_add(1, Ordering::Relaxed);
                    client = (client + 4_999) % CLIENTS;
                }
            })
        })
        .collect();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    let asked = asked.load(Ordering::Relaxed) as f64;
    Figures {
        per_second: asked / seconds,
        server_micros: (server_seconds(server) - server_before) * 1e6 / asked,
        client_micros: (own_seconds() - client_before) * 1e6 / asked,
        decisions_per_call: asked / (calls(server) - calls_before),
    }
}

/// How many scripts the server has run.
fn calls(server: &RedisServer) -> f64 {
    let stats = server.info("cmdstat_evalsha").unwrap_or_default();
    let count = stats.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
    count.map_or(0.0, |count| count.parse().unwrap())
}

/// Processor time that this process has used, where the system tells it in the manner of Linux.
fn own_seconds() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e9
}

/// Processor time that the thread which serves commands has used.
fn server_seconds(server: &RedisServer) -> f64 {
    ["used_cpu_user_main_thread", "used_cpu_sys_main_thread"]
        .iter()
        .map(|field| server.info(field).unwrap().parse::<f64>().unwrap())
        .sum()
}

async fn contenders(server: &RedisServer) -> Vec<(&'static str, Arc<Contender>)> {
    let info: redis::ConnectionInfo =
        redis::IntoConnectionInfo::into_connection_info(server.url()).unwrap();
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let client = redis::Client::open(info.set_tcp_settings(tcp)).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let sha1: String = redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(PLAIN)
        .query_async(&mut connection.clone())
        .await
        .unwrap();

    // As in production, but patient: a busy machine is no reason to end a measurement.
    let store =
        RedisRepository::builder(server.url()).timeout(Duration::from_secs(10)).build().unwrap();
    while !store.health().is_well() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ours = |count: usize| {
        let policy = |number: usize| {
            let policy = RateLimitPolicy::per_hour(1).burst(BURST.into());
            Arc::new(policy.named(format!("policy-{number}")).build().unwrap())
        };
        let policies: Vec<_> = (0..count).map(policy).collect();
        let charges =
            addresses(CLIENTS).into_iter().map(|address| charges(address, &policies)).collect();
        Arc::new(Contender::Ours { store: store.clone(), charges })
    };

    let backend = RedisBackend::connect(&server.url()).await.unwrap();
    let throttle_kit =
        Contender::ThrottleKit { backend, quota: Quota::per_hour(1).allow_burst(BURST) };

    vec![
        ("plain EVALSHA, 1 policy", Arc::new(Contender::Plain { connection, sha1 })),
        ("ours, 1 policy", ours(1)),
        ("ours, 2 policies", ours(2)),
        ("ours, 4 policies", ours(4)),
        ("throttle-kit 2.1, 1 policy", Arc::new(throttle_kit)),
    ]
}

/// A quarter is below the first, half below the second, three quarters below the third.
fn quartiles(figures: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| figures[(figures.len() - 1) * quarter / 4])
}

/// One contender's line: medians, and medians of what each round was in comparison with the same
/// round of the first contender.
fn line(name: &str, found: &[Figures], first: &[Figures]) -> String {
    let median = |figure: fn(&Figures) -> f64| quartiles(found.iter().map(figure))[1];
    let compared = |figure: fn(&Figures) -> f64| {
        quartiles(found.iter().zip(first).map(|(own, first)| figure(own) / figure(first)))
    };
    let [low, rate, high] = compared(|it| it.per_second);
    let [_, server, _] = compared(|it| it.server_micros);
    format!(
        "{name} | {:.0} | {rate:.2} ({low:.2} to {high:.2}) | {:.2} | {server:.2} | {:.2} | {:.1} |",
        median(|it| it.per_second),
        median(|it| it.server_micros),
        median(|it| it.client_micros),
        median(|it| it.decisions_per_call),
    )
}

/// Bytes of `used_memory` for each client under token buckets that have been used.
async fn bytes_per_client(server: &RedisServer, contender: &Contender) -> f64 {
    server.command(&["FLUSHALL"]).unwrap();
    let used = || server.info("used_memory").unwrap().parse::<f64>().unwrap();
    let before = used();
    for client in 0..CLIENTS {
        contender.ask(client).await;
    }
    // Hash tables that grow are twice there until the server has moved everything.
    let mut after = used();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let rested = used();
        if rested >= after {
            return (rested - before) / CLIENTS as f64;
        }
        after = rested;
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    // Cargo adds an argument of its own.
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse::<f64>().ok());
    let length = Duration::from_secs_f64(arguments.next().unwrap_or(0.1));
    let rounds = arguments.next().unwrap_or(30.0) as usize;
    let chosen: Vec<usize> = arguments.map(|number| number as usize).collect();
    let in_flight = if chosen.is_empty() { IN_FLIGHT.to_vec() } else { chosen };

    let server = RedisServer::start().unwrap();
    println!("{}", server.program());
    let contenders = contenders(&server).await;
    println!(
        "| in flight | contender | decisions/s | x plain | server µs | x plain | client µs \
         | decisions/call |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for in_flight in in_flight {
        let mut found: Vec<Vec<Figures>> = vec![Vec::new(); contenders.len()];
        for _ in 0..rounds {
            for ((_, contender), found) in contenders.iter().zip(&mut found) {
                found.push(measure(&server, contender, in_flight, length).await);
            }
        }
        for ((name, _), own) in contenders.iter().zip(&found) {
            println!("| {in_flight} | {}", line(name, own, &found[0]));
        }
    }
    println!("| contender | bytes per client |\n| --- | --- |");
    for (name, contender) in &contenders {
        if !name.starts_with("plain") {
            println!("| {name} | {:.0} |", bytes_per_client(&server, contender).await);
        }
    }
}
