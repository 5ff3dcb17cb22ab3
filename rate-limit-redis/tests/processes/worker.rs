//! What a worker does.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rate_limit_core::{
    Acquire, Adjustments, Algorithm, Answer, BucketState, Charge, Charges, ClientIdentity, Now,
    RateLimitPolicy, RateLimitRepository, Record, RepositoryError, RepositoryErrorKind, Settle,
    Timestamp, TokenBucketState, evaluate,
};
use rate_limit_redis::RedisRepository;
use redis::aio::MultiplexedConnection;

/// The first argument of a worker.
pub(crate) const ROLE: &str = "worker";

/// Of the bucket that is saturated: so many at once, and one more each so many nanoseconds. No pause
/// of the machine below two seconds fills it, which would make the expected number unknowable.
pub(crate) const BURST: u64 = 1_000;
pub(crate) const INTERVAL_NANOS: u64 = 2_000_000;

/// Reads orders until the input ends:
///
/// - `ask NAME COUNT`: asks for one unit of the window of NAME so many times, answers how many were
///   admitted
/// - `saturate TASKS MILLIS` and `break TASKS MILLIS`: asks without a pause from so many tasks,
///   answers the server's instants at which units were admitted, then an empty line; `break` asks a
///   store that is wrong on purpose
pub(crate) fn run(url: &str) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut output = std::io::stdout().lock();
    for order in std::io::stdin().lock().lines() {
        let order = order.unwrap();
        let words: Vec<&str> = order.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        match words[0] {
            "ask" => {
                let admitted = runtime.block_on(ask(url, words[1], number(2)));
                writeln!(output, "{admitted}").unwrap();
            }
            "saturate" | "break" => {
                let length = Duration::from_millis(number(2));
                let instants = runtime.block_on(async {
                    let store = store(url, words[0] == "break").await;
                    saturate(store, number(1), length).await
                });
                for instant in instants {
                    writeln!(output, "{instant}").unwrap();
                }
                writeln!(output).unwrap();
            }
            other => panic!("unknown order {other}"),
        }
        output.flush().unwrap();
    }
}

async fn store(url: &str, broken: bool) -> Arc<dyn RateLimitRepository> {
    if broken {
        let client = redis::Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        return Arc::new(ReadThenWrite { connection });
    }
    Arc::new(connected(url).await)
}

/// A store of this process's own. Patient, because a busy machine must not make a test fail.
async fn connected(url: &str) -> RedisRepository {
    let builder = RedisRepository::builder(url).timeout(Duration::from_secs(10));
    let store = builder.without_denial_cache().build().unwrap();
    let mut changes = store.health_changes();
    while !store.health().is_well() {
        changes.next().await;
    }
    store
}

async fn ask(url: &str, name: &str, count: u64) -> u64 {
    let store = connected(url).await;
    let minute = RateLimitPolicy::per_minute(100).named("shared").fixed_window();
    let minute = Arc::new(minute.build().unwrap());
    let client = ClientIdentity::user(name).unwrap();
    let mut admitted = 0;
    for _ in 0..count {
        let charges = Charges::one(Charge::new(client.clone(), minute.clone(), 1));
        let outcomes = store.acquire(&charges).await.unwrap();
        admitted += u64::from(outcomes.iter().all(|outcome| !outcome.is_violated()));
    }
    admitted
}

/// Asks from many tasks for `length` of the server's time, counted from the first admission, and in
/// the end once more after the other until the bucket is empty.
async fn saturate(store: Arc<dyn RateLimitRepository>, tasks: u64, length: Duration) -> Vec<u64> {
    let per_second = 1_000_000_000 / INTERVAL_NANOS;
    let policy = RateLimitPolicy::per_second(per_second).burst(BURST).named("saturated");
    let charge = Charge::new(ClientIdentity::GLOBAL, Arc::new(policy.build().unwrap()), 1);
    let charges = Charges::one(charge);
    let length = u64::try_from(length.as_nanos()).unwrap();
    // The instant from which a task that is admitted makes all of them stop. Relaxed, because it
    // guards no memory.
    let until = Arc::new(AtomicU64::new(u64::MAX));
    let is_over = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let (store, charges) = (store.clone(), charges.clone());
            let (until, is_over) = (until.clone(), is_over.clone());
            tokio::spawn(async move {
                let mut instants = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let Some(instant) = admitted_at(&*store, &charges).await else { continue };
                    instants.push(instant);
                    let earlier = until.fetch_min(instant + length, Ordering::Relaxed);
                    if instant >= earlier {
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
                instants
            })
        })
        .collect();
    let mut instants = Vec::new();
    for task in tasks {
        instants.extend(task.await.unwrap());
    }
    while let Some(instant) = admitted_at(&*store, &charges).await {
        instants.push(instant);
    }
    instants
}

/// The mark of a charge of a token bucket is the instant at which it was made.
async fn admitted_at(store: &dyn RateLimitRepository, charges: &Charges) -> Option<u64> {
    let outcomes = store.acquire(charges).await.unwrap();
    outcomes.get(0)?.charged.map(Timestamp::as_nanos)
}

/// A store that is wrong on purpose: it decides like any other, between reading and writing.
struct ReadThenWrite {
    connection: MultiplexedConnection,
}

impl RateLimitRepository for ReadThenWrite {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let (mut connection, charges) = (self.connection.clone(), charges.clone());
        let failed = |error| RepositoryError::with_source(RepositoryErrorKind::Unavailable, error);
        Answer::pending(async move {
            let policy = charges.get(0).unwrap().policy();
            assert!(matches!(policy.algorithm(), Algorithm::TokenBucket(_)));
            let read = redis::pipe().cmd("TIME").get("broken").to_owned();
            let ((seconds, micros), full_at): ((u64, u64), Option<u64>) =
                read.query_async(&mut connection).await.map_err(failed)?;
            let now = Timestamp::from_nanos(seconds * 1_000_000_000 + micros * 1_000);
            let state = |nanos| TokenBucketState { full_at: Timestamp::from_nanos(nanos) };
            let bucket = full_at.map(|nanos| BucketState::TokenBucket(state(nanos)));
            let mut records = [Record { bucket, ..Record::EMPTY }];
            let outcomes = evaluate(&charges, &mut records, Now { monotonic: now, utc: now });
            if let [
                Record {
                    bucket: Some(BucketState::TokenBucket(state)), bucket_changed: true, ..
                },
            ] = &records
            {
                let full_at = state.full_at.as_nanos();
                let write = redis::cmd("SET").arg("broken").arg(full_at).to_owned();
                write.query_async::<()>(&mut connection).await.map_err(failed)?;
            }
            Ok(outcomes)
        })
    }

    fn settle(&self, _: &Adjustments) -> Settle {
        Answer::Ready(Err(RepositoryError::new(RepositoryErrorKind::Misconfigured)))
    }
}
