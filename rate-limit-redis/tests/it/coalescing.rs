//! What travels together.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
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

async fn connected(server: &RedisServer) -> RedisRepository {
    // A busy machine is no reason to decide without Redis.
    let store = RedisRepository::builder(server.url()).timeout(Duration::from_secs(10));
    let store = store.without_denial_cache().build().unwrap();
    while !store.health().is_well() {
        tokio::task::yield_now().await;
    }
    store
}

fn charge_of(number: u64, policy: &Arc<RateLimitPolicy>) -> Charges {
    let who = ClientIdentity::user(format!("client {number}")).unwrap();
    Charges::one(Charge::new(who, policy.clone(), 1))
}

/// Many callers who ask again as soon as they are answered share nearly every call, and one who asks
/// alone has a call for each question.
#[tokio::test]
async fn callers_who_keep_asking_share_their_calls() {
    const CALLERS: u64 = 64;
    const EACH: u64 = 50;
    let server = RedisServer::start().unwrap();
    let store = connected(&server).await;
    let policy = Arc::new(RateLimitPolicy::per_day(EACH).build().unwrap());
    let charges = |number: u64| charge_of(number, &policy);
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

/// Callers that have asked and then wait for something else, with their answers at hand, keep nobody
/// from being answered.
#[tokio::test]
async fn callers_who_do_not_take_their_answers_hold_nobody_up() {
    const MOST: u64 = 8;
    let server = RedisServer::start().unwrap();
    let store = connected(&server).await;
    let policy = Arc::new(RateLimitPolicy::per_day(MOST).build().unwrap());
    // The first one is told that the script is unknown, and sends it.
    store.acquire(&charge_of(MOST, &policy)).await.unwrap();

    for count in 1..MOST {
        let mut others: Vec<_> =
            (0..count).map(|number| store.acquire(&charge_of(number, &policy))).collect();
        std::future::poll_fn(|context| {
            for other in &mut others {
                assert!(Pin::new(other).poll(context).is_pending());
            }
            Poll::Ready(())
        })
        .await;
        let own = store.acquire(&charge_of(MOST, &policy)).await.unwrap();
        assert_eq!(own.get(0).unwrap().remaining, MOST - 1 - count);
        for other in others {
            assert!(!other.await.unwrap().get(0).unwrap().is_violated());
        }
    }
}
