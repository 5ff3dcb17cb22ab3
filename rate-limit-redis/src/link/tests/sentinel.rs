//! Masters that Sentinels name, and name anew.

use redis_testbed::SentinelBed;

use super::*;
use crate::health::AwayReason;

const DOWN_AFTER: Duration = Duration::from_secs(1);

fn start() -> SentinelBed {
    tokio::task::block_in_place(|| SentinelBed::start(DOWN_AFTER)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn s01_a_killed_master_is_followed_to_its_successor() {
    let bed = start();
    let mut bench = Bench::open(&bed.url());
    bench.is_connected().await;
    let load = Load::start(&bench, 1, vec!["{a}".to_owned()]);
    load.goes_on_for(500).await;
    let old = bed.master().unwrap().address();
    let killed = now();
    bed.master().unwrap().kill().unwrap();
    bench.sees("the loss", |event| matches!(event, HealthEvent::Away(_))).await;
    bench.is_connected().await;
    bench.is_served("{a}").await;
    let back = killed.elapsed();
    let taken = load.stop().await;
    let new = tokio::task::block_in_place(|| bed.await_other_master(old, EVENTUALLY)).unwrap();
    let new = bed.servers().iter().find(|server| server.address() == new).unwrap();
    assert_ne!(new.command(&["GET", "{a}"]).unwrap(), Value::Nil);
    judge_outage("S01 kill -9 of the master", &taken, killed, killed + back);
    println!("S01 decisions in Redis again after {back:?}; down-after is {DOWN_AFTER:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s03_after_a_failover_nobody_goes_on_asking_the_former_master() {
    let bed = start();
    let mut bench = Bench::with_deadline(&bed.url(), Duration::from_millis(500));
    bench.is_connected().await;
    let load = Load::start(&bench, 1, vec!["{a}".to_owned()]);
    load.goes_on_for(200).await;
    let old = bed.master().unwrap().address();
    let ordered = now();
    bed.fail_over().unwrap();
    bench.sees("the loss", |event| matches!(event, HealthEvent::Away(_))).await;
    tokio::task::block_in_place(|| bed.await_other_master(old, EVENTUALLY)).unwrap();
    bench.is_connected().await;
    bench.is_served("{a}").await;
    println!("S03 followed {:?} after the order", ordered.elapsed());
    let calm = now();
    load.goes_on_for(1_000).await;
    let taken = load.stop().await;
    let after: Vec<_> = taken.iter().filter(|one| one.at >= calm).collect();
    let failed = after.iter().filter(|one| one.failure.is_some()).count();
    // A lasting READONLY would fail all of them; a loaded machine may miss a deadline.
    assert!(failed * 10 < after.len(), "{failed} of {}", after.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn s06_a_master_that_is_none_any_more_is_not_used() {
    let bed = start();
    let master = bed.master().unwrap();
    let other = bed.servers().iter().find(|server| server.address() != master.address()).unwrap();
    let other = other.address();
    // The Sentinels look at roles every ten seconds only; until then they name a replica.
    let words = ["REPLICAOF", &other.ip().to_string(), &other.port().to_string()];
    master.command(&words).unwrap();
    let mut bench = Bench::open(&bed.url());
    let seen = bench.sees("the refusal", |event| matches!(event, HealthEvent::Away(_))).await;
    assert_eq!(seen, [HealthEvent::Away(AwayReason::NotMaster)]);
    assert!(bench.decide("{a}").await.is_err());
    master.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    bench.is_connected().await;
    bench.is_served("{a}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_a_former_master_does_not_outlive_the_next_question() {
    let bed = start();
    // An attempt to connect to the hung master ends soon, so that its successor is asked for.
    let mut impatient = options(&bed.url(), Duration::from_millis(25));
    impatient.connect_timeout = Duration::from_secs(1);
    let mut bench = Bench::with(impatient);
    bench.is_connected().await;
    let old = bed.master().unwrap();
    // Cut off from its Sentinels and replicas, it would go on as a master for its old clients.
    old.suspend().unwrap();
    let (load, suspended) = (Load::start(&bench, 1, vec!["{a}".to_owned()]), now());
    bench.sees("the loss", |event| matches!(event, HealthEvent::Away(_))).await;
    bench.is_connected().await;
    bench.is_served("{a}").await;
    println!("a hung master was left for its successor after {:?}", suspended.elapsed());
    load.stop().await;
    old.resume().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_no_sentinel_knows_is_named() {
    let bed = start();
    let url = bed.url();
    let (sentinels, _) = url.rsplit_once('/').unwrap();
    let mut bench = Bench::open(&format!("{sentinels}/unheard-of"));
    let seen = bench.sees("the refusal", |event| matches!(event, HealthEvent::Away(_))).await;
    let [HealthEvent::Away(reason @ AwayReason::UnknownMaster { .. })] = &seen[..] else {
        panic!("{seen:?}")
    };
    let text = reason.to_string();
    assert!(text.contains("`unheard-of`") && text.contains("sentinel monitor"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_have_a_password_of_their_own() {
    let bed = start();
    for sentinel in bed.sentinels() {
        sentinel.command(&["ACL", "SETUSER", "default", "resetpass", ">sesame"]).unwrap();
    }
    let mut without = Bench::open(&bed.url());
    let seen = without.sees("the refusal", |event| matches!(event, HealthEvent::Away(_))).await;
    assert!(
        matches!(&seen[..], [HealthEvent::Away(AwayReason::WrongCredentials { .. })]),
        "{seen:?}"
    );
    let mut with = Bench::open(&format!("{}?sentinel_password=sesame", bed.url()));
    with.is_connected().await;
    with.is_served("{a}").await;
}
