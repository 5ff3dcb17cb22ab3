//! One line opens the store, wherever Redis is, and waits for nobody.

use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::{
    Answer, Charge, Charges, ClientIdentity, RateLimitPolicy, RateLimitRepository,
    RepositoryErrorKind,
};
use rate_limit_redis::{AwayReason, HealthEvent, RedisRepository};
use redis_testbed::{ClusterBed, RedisServer, SentinelBed};

const EVENTUALLY: Duration = Duration::from_secs(60);

fn three_per_hour() -> Charges {
    // A fixed window, so that the time that a test takes adds nothing.
    let policy = RateLimitPolicy::per_hour(3).named("opening").fixed_window().build().unwrap();
    Charges::one(Charge::new(ClientIdentity::user("alice").unwrap(), Arc::new(policy), 1))
}

/// A store that a busy machine does not make miss its deadline.
async fn open(url: &str) -> RedisRepository {
    let store = RedisRepository::builder(url).timeout(Duration::from_secs(5)).build().unwrap();
    tokio::task::block_in_place(|| {
        redis_testbed::until("the store is well", EVENTUALLY, || store.health().is_well()).unwrap();
    });
    store
}

async fn passes(store: &RedisRepository) -> bool {
    let outcomes = store.acquire(&three_per_hour()).await.unwrap();
    !outcomes.iter().any(|outcome| outcome.is_violated())
}

async fn shares_a_limit(url: &str) {
    let (first, second) = (open(url).await, open(url).await);
    assert!(passes(&first).await && passes(&second).await && passes(&first).await, "{url}");
    assert!(!passes(&second).await && !passes(&first).await, "{url}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_share_a_limit_on_one_server_over_either_socket() {
    let server = RedisServer::start().unwrap();
    shares_a_limit(&server.url()).await;
    shares_a_limit(&format!("{}?db=1", server.unix_url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_share_a_limit_behind_sentinels() {
    let bed = tokio::task::block_in_place(|| SentinelBed::start(Duration::from_secs(30))).unwrap();
    shares_a_limit(&bed.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_share_a_limit_in_a_cluster() {
    let bed = tokio::task::block_in_place(|| ClusterBed::builder().replicas_per_master(0).start());
    shares_a_limit(&bed.unwrap().url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_redis_is_built_at_once_and_answers_at_once() {
    let server = RedisServer::start().unwrap();
    server.kill().unwrap();
    let store = RedisRepository::connect(&server.url()).unwrap();
    let mut changes = store.health_changes();
    for _ in 0..100 {
        let Answer::Ready(Err(error)) = store.acquire(&three_per_hour()) else {
            panic!("it waits for a server that is not there")
        };
        assert_eq!(error.kind(), RepositoryErrorKind::Unavailable);
    }
    assert!(!store.health().is_well());
    tokio::task::block_in_place(|| server.restart()).unwrap();
    let connected = async {
        loop {
            let change = changes.next().await.expect("the store lives");
            match change.event {
                HealthEvent::Connected => return,
                HealthEvent::Away(AwayReason::Unreachable { .. }) => {}
                other => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(EVENTUALLY, connected).await.expect("a connection");
    assert_eq!(store.health().servers[0].away, None);
}
