//! What travels together.

use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::{Charge, Charges, ClientIdentity, RateLimitPolicy, RateLimitRepository};
use rate_limit_redis::RedisRepository;
use redis_testbed::RedisServer;

/// How many scripts the server has run.
fn calls(server: &RedisServer) -> u64 {
    let stats = server.info("cmdstat_evalsha").unwrap();
    let count = stats.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
    count.unwrap().parse().unwrap()
}

/// Sixteen callers who ask again as soon as they are answered share nearly every call, and one who
/// asks alone has a call for each question.
#[tokio::test]
async fn callers_who_keep_asking_share_their_calls() {
    const CALLERS: u64 = 16;
    const EACH: u64 = 50;
    let server = RedisServer::start().unwrap();
    // A busy machine is no reason to decide without Redis.
    let store = RedisRepository::builder(server.url()).timeout(Duration::from_secs(10));
    let store = store.without_denial_cache().build().unwrap();
    while !store.health().is_well() {
        tokio::task::yield_now().await;
    }
    let policy = Arc::new(RateLimitPolicy::per_day(EACH).build().unwrap());
    let charges = |number: u64| {
        let who = ClientIdentity::user(format!("client {number}")).unwrap();
        Charges::one(Charge::new(who, policy.clone(), 1))
    };
    // The first one is told that the script is unknown, and sends it.
    store.acquire(&charges(CALLERS)).await.unwrap();

    let before = calls(&server);
    for _ in 1..EACH {
        assert!(!store.acquire(&charges(CALLERS)).await.unwrap().get(0).unwrap().is_violated());
    }
    assert_eq!(calls(&server) - before, EACH - 1);

    let before = calls(&server);
    let callers = (0..CALLERS).map(|number| {
        let (store, charges) = (store.clone(), charges(number));
        tokio::spawn(async move {
            for _ in 0..EACH {
                assert!(!store.acquire(&charges).await.unwrap().get(0).unwrap().is_violated());
            }
            // Everything was charged, and once.
            assert!(store.acquire(&charges).await.unwrap().get(0).unwrap().is_violated());
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let (asked, calls) = (CALLERS * (EACH + 1), calls(&server) - before);
    assert!(calls * 8 <= asked, "{asked} decisions in {calls} calls");
    println!("{asked} decisions in {calls} calls");
}
