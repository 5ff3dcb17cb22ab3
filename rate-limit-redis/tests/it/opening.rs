//! One line opens the store, wherever Redis is, and waits for nobody.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::conformance::block_on;
use rate_limit_core::{
    Adjustment, Adjustments, Answer, Change, Charge, Charges, ClientIdentity,
    RateLimitAdministration, RateLimitPolicy, RateLimitRepository, RepositoryErrorKind, Reset,
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

/// Applications have runtimes of other kinds beside the one in which the store lives.
#[test]
fn answers_are_awaited_in_any_runtime_and_in_none() {
    let server = RedisServer::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = runtime.block_on(open(&server.url()));
    let charges = three_per_hour();
    // One unit stays taken, so that there is something to reset.
    block_on(store.acquire(&charges)).unwrap();
    let outcomes = block_on(store.acquire(&charges)).unwrap();
    let outcome = outcomes.get(0).unwrap();
    let charge = charges.iter().next().unwrap();
    let receipt = Adjustment {
        identity: charge.identity().clone(),
        policy: charge.policy().clone(),
        charged: outcome.charged.unwrap(),
        units: 1,
        change: Change::Refund(1),
    };
    let settled = block_on(store.settle(&Adjustments::from_iter([receipt]))).unwrap();
    assert_eq!(settled.iter().map(|adjusted| adjusted.returned).collect::<Vec<_>>(), [1]);
    assert!(block_on(store.list(None, NonZeroUsize::MIN)).is_ok());
    let reset = block_on(store.reset(charge.identity(), charge.policy()));
    assert_eq!(reset.unwrap(), Reset::Restored);
}

/// "No buckets" would be an answer, and nobody has told.
#[tokio::test(flavor = "multi_thread")]
async fn the_buckets_of_a_store_that_is_away_are_not_listed_as_none() {
    let server = RedisServer::start().unwrap();
    server.kill().unwrap();
    let address = server.address();
    for url in [format!("redis://{address}"), format!("redis+cluster://{address}")] {
        let store = RedisRepository::connect(&url).unwrap();
        let error = store.list(None, NonZeroUsize::MIN).await.unwrap_err();
        assert_eq!(error.kind(), RepositoryErrorKind::Unavailable, "{url}");
    }
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
                HealthEvent::DigestsArePseudonyms => {}
                HealthEvent::Away(AwayReason::Unreachable { .. }) => {}
                other => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(EVENTUALLY, connected).await.expect("a connection");
    assert_eq!(store.health().servers[0].away, None);
}
