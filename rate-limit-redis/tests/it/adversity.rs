//! What happens around decisions: forgotten scripts, impatient callers, a server that must evict.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rate_limit_core::conformance::block_on;
use rate_limit_core::{
    Charge, Charges, ClientIdentity, ManualClock, RateLimitPolicy, RateLimitRepository, Timestamp,
};
use redis::Commands;
use redis_testbed::{ClusterBed, RedisServer};

use crate::support::{OnRuntime, Stores};

fn one(who: &ClientIdentity, policy: &Arc<RateLimitPolicy>, units: u64) -> Charges {
    Charges::one(Charge::new(who.clone(), policy.clone(), units))
}

fn remaining(store: &OnRuntime, who: &ClientIdentity, policy: &Arc<RateLimitPolicy>) -> u64 {
    block_on(store.acquire(&one(who, policy, 0))).unwrap().get(0).unwrap().remaining
}

/// Case R03: scripts are forgotten again and again while decisions are under way, of all kinds.
#[test]
fn r03_forgotten_scripts_fail_no_decision() {
    let server = RedisServer::start().unwrap();
    let store = Stores::at(server.url()).built(|builder| builder);
    let hourly = || RateLimitPolicy::per_hour(1_000_000);
    let policies = [hourly().named("bucket"), hourly().named("window").fixed_window()]
        .map(|builder| Arc::new(builder.build().unwrap()));
    let stop = AtomicBool::new(false);
    let decisions = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for (number, policy) in policies.iter().cycle().take(4).enumerate() {
            let (store, stop, decisions) = (&store, &stop, &decisions);
            scope.spawn(move || {
                let who = ClientIdentity::user(format!("client {number}")).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let outcomes = block_on(store.acquire(&one(&who, policy, 1)));
                    assert!(!outcomes.expect("no decision fails").get(0).unwrap().is_violated());
                    decisions.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for flush in 1..=40 {
            server.command(&["SCRIPT", "FLUSH"]).unwrap();
            // At least some decisions find their scripts forgotten each time.
            let before = decisions.load(Ordering::Relaxed);
            redis_testbed::until("decisions", Duration::from_secs(30), || {
                decisions.load(Ordering::Relaxed) >= before + 20
            })
            .unwrap_or_else(|error| panic!("after flush {flush}: {error}"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!("{} decisions, forty flushes, none failed", decisions.into_inner());
}

/// Case R17: ten thousand requests, most of them dropped while they wait. Each that was awaited got
/// its own answer, and no unit was charged that nobody had asked for.
#[test]
fn r17_dropped_requests_mix_up_no_answers() {
    const CLIENTS: u64 = 50;
    const EACH: u64 = 200;
    let server = RedisServer::start().unwrap();
    let store = Stores::at(server.url()).built(|builder| builder.max_in_flight(1_000_000));
    let policy = RateLimitPolicy::per_hour(100_000).fixed_window();
    let policy = Arc::new(policy.build().unwrap());
    let answered = store.on_runtime({
        let (store, policy) = (store.store.clone(), policy.clone());
        async move {
            let clients = (0..CLIENTS).map(|client| {
                let (store, policy) = (store.clone(), policy.clone());
                tokio::spawn(async move {
                    // Each client asks for units of its own number, so that a wrong answer shows.
                    let who = ClientIdentity::user(format!("client {client}")).unwrap();
                    let charges = one(&who, &policy, client + 1);
                    let (mut answered, mut last) = (0, 100_000);
                    for number in 0..EACH {
                        let asked = store.acquire(&charges);
                        if number % 4 > 0 {
                            // Polled a few times, then dropped wherever it is: waiting for its
                            // turn, on its way, or answered while nobody looked.
                            let mut asked = Box::pin(asked);
                            for _ in 0..(client * 7 + number) % 40 {
                                if is_ready(&mut asked).await {
                                    break;
                                }
                                tokio::task::yield_now().await;
                            }
                            continue;
                        }
                        let outcomes = asked.await.unwrap();
                        let outcome = outcomes.get(0).unwrap();
                        assert!(outcome.charged.is_some_and(|mark| mark > Timestamp::ORIGIN));
                        // Whatever was dropped meanwhile may be charged, entirely or not at all.
                        let taken = last - outcome.remaining;
                        assert!(taken > client && taken % (client + 1) == 0, "{taken}");
                        last = outcome.remaining;
                        answered += 1;
                    }
                    answered
                })
            });
            let mut answered = 0;
            for client in clients.collect::<Vec<_>>() {
                answered += client.await.unwrap();
            }
            answered
        }
    });
    assert_eq!(answered, CLIENTS * EACH / 4);
    let mut charged = 0;
    for client in 0..CLIENTS {
        let who = ClientIdentity::user(format!("client {client}")).unwrap();
        let used = 100_000 - remaining(&store, &who, &policy);
        assert_eq!(used % (client + 1), 0, "a part of a request was charged");
        let requests = used / (client + 1);
        assert!((EACH / 4..=EACH).contains(&requests), "{requests}");
        charged += requests;
    }
    assert!(charged > answered, "no request was dropped on its way");
    println!("{answered} answered, {charged} charged of {}", CLIENTS * EACH);
}

/// Polls once.
async fn is_ready<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_ready())
    })
    .await
}

/// Case M09: a flood of new clients fills a server that evicts what owes least, and a hundred
/// clients who have used up their hour are still denied.
#[test]
fn m09_a_flood_evicts_no_exhausted_bucket() {
    let server = RedisServer::builder()
        .option("maxmemory", "8mb")
        .option("maxmemory-policy", "volatile-ttl")
        .start()
        .unwrap();
    let store = Stores::at(server.url()).built(|builder| builder.max_in_flight(1_000_000));
    let hourly = Arc::new(RateLimitPolicy::per_hour(100).named("hourly").build().unwrap());
    let client = |number: u64| ClientIdentity::user(format!("exhausted {number}")).unwrap();
    for number in 0..100 {
        block_on(store.acquire(&one(&client(number), &hourly, 100))).unwrap();
    }
    store.on_runtime({
        let (store, hourly) = (store.store.clone(), hourly.clone());
        async move {
            let flood = (0..200).map(|part: u64| {
                let (store, hourly) = (store.clone(), hourly.clone());
                tokio::spawn(async move {
                    for number in 0..1_000 {
                        let who = ClientIdentity::user(format!("flood {part} {number}")).unwrap();
                        store.acquire(&one(&who, &hourly, 1)).await.unwrap();
                    }
                })
            });
            for part in flood.collect::<Vec<_>>() {
                part.await.unwrap();
            }
        }
    });
    let evicted: u64 = server.info("evicted_keys").unwrap().parse().unwrap();
    assert!(evicted > 100_000, "only {evicted} evicted: the flood was too small");
    let survivors = (0..100).filter(|number| {
        let outcomes = block_on(store.acquire(&one(&client(*number), &hourly, 2))).unwrap();
        outcomes.get(0).unwrap().is_violated()
    });
    assert_eq!(survivors.count(), 100, "of {evicted} evicted keys none was in full debt");
}

/// A clock that is set back brings the entries of a long log to the present, and that costs the
/// server little more than any decision on the log: while it does, it serves nobody else.
#[test]
fn a_step_back_on_a_long_log_holds_up_nobody() {
    const ENTRIES: u16 = 9_000;
    let server = RedisServer::start().unwrap();
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(100_000));
    let store = Stores::at(server.url()).fresh(&clock);
    let who = ClientIdentity::user("busy").unwrap();
    let policy = RateLimitPolicy::per_hour(10_000).sliding_log().build().unwrap();
    let policy = Arc::new(policy);
    // What the server says that one decision took; the least of five, because others run as well.
    let least = |step: Duration| {
        let micros = (0..5).map(|_| {
            clock.step_back(step);
            server.command(&["CONFIG", "RESETSTAT"]).unwrap();
            block_on(store.acquire(&one(&who, &policy, 1))).unwrap();
            let figures = server.info("cmdstat_evalsha").unwrap();
            let micros = figures.split(',').find_map(|figure| figure.strip_prefix("usec="));
            micros.unwrap().parse::<u64>().unwrap()
        });
        micros.min().unwrap()
    };
    block_on(store.acquire(&one(&who, &policy, 1))).unwrap();
    let mut connection = server.administrator().unwrap();
    let [key] = connection.keys::<_, Vec<Vec<u8>>>("*").unwrap().try_into().unwrap();
    let log: Vec<u8> = connection.get(&key).unwrap();
    let (_, entry) = log.split_at(2);
    let long = [&ENTRIES.to_be_bytes()[..], &entry.repeat(ENTRIES.into())].concat();
    let _: () = connection.set(&key, long).unwrap();

    let usual = least(Duration::ZERO);
    let stepped = least(Duration::from_secs(10));
    println!("a decision on a log of {ENTRIES}: {usual} us, after a step back: {stepped} us");
    assert_eq!(remaining(&store, &who, &policy), 10_000 - u64::from(ENTRIES) - 10);
    // It took four thousand times as long when each entry was put before all others.
    assert!(stepped < 400 * usual.max(10), "{stepped} us instead of {usual} us");
}

/// Case X03: any bytes in an identity, four policies each, on a real cluster.
#[test]
fn x03_no_bytes_cross_slots() {
    let bed = ClusterBed::builder().replicas_per_master(0).start().unwrap();
    let store = Stores::at(bed.url()).built(|builder| builder);
    let policies: Vec<Arc<RateLimitPolicy>> = (0..4)
        .map(|number| RateLimitPolicy::per_minute(5).named(format!("policy:{number}")))
        .map(|builder| Arc::new(builder.build().unwrap()))
        .collect();
    for number in 0..=255_u8 {
        let bytes = [b"{}"[0], number, b'}', b'{', number, 0, b'\r', b'\n', b'*'];
        let who = ClientIdentity::user(bytes).unwrap();
        let charges: Charges =
            policies.iter().map(|policy| Charge::new(who.clone(), policy.clone(), 1)).collect();
        let outcomes = block_on(store.acquire(&charges)).unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.remaining == 4), "{number}");
    }
}
