//! One server: absent, loading, crashed, hung, slow, half-open.

use redis_testbed::proxy::Replies;
use redis_testbed::{Proxy, RedisServer};

use super::*;
use crate::health::{AwayReason, BreakerState};

fn is_away(event: &HealthEvent) -> bool {
    matches!(event, HealthEvent::Away(_))
}

fn is_opened(event: &HealthEvent) -> bool {
    matches!(event, HealthEvent::BreakerOpened { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_made_over_tcp_and_over_a_unix_socket_in_any_database() {
    let server = RedisServer::start().unwrap();
    let patient = Duration::from_secs(10);
    let tcp = Bench::with_deadline(&format!("{}/3", server.url()), patient);
    tcp.is_served("{a}").await;
    let unix = Bench::with_deadline(&format!("{}?db=3", server.unix_url()), patient);
    unix.is_served("{a}").await;
    let before = tcp.decide("{a}").await.unwrap();
    assert_eq!(unix.decide("{a}").await.unwrap(), before + 1);
    assert_eq!(server.command(&["GET", "{a}"]).unwrap(), Value::Nil);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_knows_only_the_older_protocol_is_spoken_to_in_it() {
    let server = RedisServer::builder().option("rename-command", "HELLO \"\"").start().unwrap();
    let mut bench = Bench::open(&server.url());
    let seen = bench.sees("a connection", |event| *event == HealthEvent::Connected).await;
    assert_eq!(seen, [HealthEvent::Connected]);
    bench.is_served("{a}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_crash_under_load_costs_little_and_heals_by_itself() {
    let server = RedisServer::start().unwrap();
    let mut bench = Bench::open(&server.url());
    bench.is_connected().await;
    let load = Load::start(&bench, 5, vec!["{a}".to_owned()]);
    load.goes_on_for(2_000).await;
    let crash = now();
    server.kill().unwrap();
    bench.sees("the crash", is_away).await;
    load.goes_on_for(5_000).await;
    tokio::task::block_in_place(|| server.restart()).unwrap();
    let restart = now();
    bench.is_connected().await;
    let healed = bench.is_served("{b}").await;
    let recovery = restart.elapsed();
    load.goes_on_for(500).await;
    let taken = load.stop().await;
    judge_outage("R01 kill -9 at 5,000/s", &taken, crash, restart);
    println!("R01 recovery: connected and served {recovery:?} after the restart ({healed:?})");
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_a_hang_under_load_costs_one_deadline_and_heals_by_itself() {
    let server = RedisServer::start().unwrap();
    let mut bench = Bench::open(&server.url());
    bench.is_connected().await;
    let load = Load::start(&bench, 5, vec!["{a}".to_owned()]);
    load.goes_on_for(2_000).await;
    let hang = now();
    server.suspend().unwrap();
    bench.sees("the breaker", is_opened).await;
    let opened = hang.elapsed();
    let silent = |event: &HealthEvent| *event == HealthEvent::Away(AwayReason::Silent);
    bench.sees("the doubt", silent).await;
    let replaced = hang.elapsed();
    load.goes_on_for(25_000).await;
    server.resume().unwrap();
    let resumed = now();
    bench.sees("a closed breaker", |event| *event == HealthEvent::BreakerClosed).await;
    let recovery = resumed.elapsed();
    load.goes_on_for(500).await;
    let taken = load.stop().await;
    judge_outage("R02 SIGSTOP at 5,000/s", &taken, hang, resumed);
    println!(
        "R02 the breaker opened after {opened:?}, the connection was given up after {replaced:?}; \
         served as before {recovery:?} after SIGCONT"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_an_absent_server_keeps_nobody_waiting_and_is_used_once_it_is_there() {
    let server = RedisServer::start().unwrap();
    server.kill().unwrap();
    let mut bench = Bench::open(&server.url());
    // Nothing has run yet, and still there is an answer at once.
    let Answer::Ready(Err(error)) = bench.decide("{a}") else { panic!("it waits") };
    assert_eq!(error.kind(), RepositoryErrorKind::Unavailable);
    let seen = bench.sees("the absence", is_away).await;
    assert!(matches!(&seen[..], [HealthEvent::Away(AwayReason::Unreachable { .. })]), "{seen:?}");
    tokio::task::block_in_place(|| server.restart()).unwrap();
    let healed = bench.is_served("{a}").await;
    println!("R07 served {healed:?} after the start");
    // Attempts that failed in the same way are no news.
    let seen = bench.sees("a connection", |event| *event == HealthEvent::Connected).await;
    assert_eq!(seen, [HealthEvent::Connected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_a_server_that_loads_its_data_is_away_until_it_is_ready() {
    let server = RedisServer::builder()
        .option("key-load-delay", "200")
        .option("loading-process-events-interval-bytes", "1024")
        .option("enable-debug-command", "yes")
        .start()
        .unwrap();
    server.command(&["DEBUG", "POPULATE", "10000"]).unwrap();
    server.command(&["SAVE"]).unwrap();
    server.kill().unwrap();
    let mut bench = Bench::open(&server.url());
    let started = tokio::task::spawn_blocking(move || {
        server.restart().unwrap();
        server
    });
    let loading = |event: &HealthEvent| *event == HealthEvent::Away(AwayReason::Loading);
    bench.sees("loading", loading).await;
    let Answer::Ready(Err(error)) = bench.decide("{a}") else { panic!("it waits") };
    assert_eq!(error.kind(), RepositoryErrorKind::Unavailable);
    bench.is_connected().await;
    bench.is_served("{a}").await;
    drop(started.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_delay_within_the_deadline_trips_nothing_and_a_longer_one_does() {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::start(server.address()).unwrap();
    // Far enough apart that the delays of a loaded machine lie between them.
    let mut bench = Bench::with_deadline(&proxy.url(), Duration::from_millis(500));
    bench.is_connected().await;
    proxy.set_replies(Replies::Delay(Duration::from_millis(50)));
    let load = Load::start(&bench, 1, vec!["{a}".to_owned()]);
    load.goes_on_for(1_000).await;
    let taken = load.stop().await;
    let served = taken.iter().filter(|one| one.failure.is_none()).count();
    println!("R10 +50 ms: {served} of {} served, p99 {:?}", taken.len(), {
        percentile(taken.iter().copied(), 990)
    });
    assert_eq!(bench.link.health().servers[0].breaker, BreakerState::Closed);
    assert!(served * 10 > taken.len() * 9, "{served} of {}", taken.len());
    proxy.set_replies(Replies::Delay(Duration::from_millis(900)));
    let load = Load::start(&bench, 1, vec!["{a}".to_owned()]);
    bench.sees("the breaker", is_opened).await;
    proxy.set_replies(Replies::Pass);
    let passed = now();
    bench.sees("a closed breaker", |event| *event == HealthEvent::BreakerClosed).await;
    println!("R10 served as before {:?} after the delay ended", passed.elapsed());
    load.stop().await;
}

/// It replies, so a new connection would cure nothing.
#[tokio::test(flavor = "multi_thread")]
async fn r10_a_server_that_replies_too_late_keeps_its_connection() {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::start(server.address()).unwrap();
    let mut bench = Bench::open(&proxy.url());
    bench.is_connected().await;
    proxy.set_replies(Replies::Delay(Duration::from_millis(50)));
    let load = Load::start(&bench, 1, vec!["{a}".to_owned()]);
    bench.sees("the breaker", is_opened).await;
    // A machine that stalls for a quarter of a second loses the connection, as it should; but not
    // again and again, whereas it is doubted several times in each round.
    eventually("the connection is kept for a whole round", async || {
        let before = proxy.accepted();
        load.goes_on_for(2_000).await;
        proxy.accepted() == before
    })
    .await;
    let taken = load.stop().await;
    let late = taken.iter().filter(|one| one.failure == Some(RepositoryErrorKind::Timeout));
    assert!(late.count() > 0, "replies were too late");
}

/// A breaker that a refusal opened closes over replies that take longer than a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_slow_within_a_long_deadline_is_trusted_again() {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::start(server.address()).unwrap();
    let mut bench = Bench::with_deadline(&proxy.url(), Duration::from_secs(10));
    bench.is_connected().await;
    bench.is_served("{a}").await;
    server.configure("maxmemory", "1").unwrap();
    let load = Load::start(&bench, 1, vec!["{a}".to_owned()]);
    bench.sees("the breaker", is_opened).await;
    proxy.set_replies(Replies::Delay(Duration::from_millis(1_500)));
    server.configure("maxmemory", "0").unwrap();
    bench.sees("a closed breaker", |event| *event == HealthEvent::BreakerClosed).await;
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_connection_is_replaced() {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::start(server.address()).unwrap();
    let mut bench = Bench::open(&proxy.url());
    bench.is_connected().await;
    bench.is_served("{a}").await;
    proxy.freeze_existing();
    let frozen = now();
    let load = Load::start(&bench, 1, vec!["{a}".to_owned()]);
    bench.is_connected().await;
    bench.sees("a closed breaker", |event| *event == HealthEvent::BreakerClosed).await;
    println!("a frozen connection was replaced and trusted after {:?}", frozen.elapsed());
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_that_breaks_is_made_anew_before_anybody_calls() {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::start(server.address()).unwrap();
    let mut bench = Bench::open(&proxy.url());
    bench.is_connected().await;
    proxy.reset_existing();
    let seen = bench.sees("a connection", |event| *event == HealthEvent::Connected).await;
    assert!(matches!(&seen[..], [HealthEvent::Away(AwayReason::Lost { .. }), _]), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_well_again_also_if_nobody_calls() {
    let server = RedisServer::start().unwrap();
    let mut bench = Bench::open(&server.url());
    bench.is_connected().await;
    server.suspend().unwrap();
    // Whichever comes first: on a loaded machine the connection may be given up before that.
    eventually("the breaker opens, or there is no connection", async || {
        let _ = bench.decide("{a}").await;
        let health = &bench.link.health().servers[0];
        health.breaker == BreakerState::Open || health.away.is_some()
    })
    .await;
    server.resume().unwrap();
    eventually("it is well again", async || bench.link.health().is_well()).await;
}

/// Nobody says so but the server itself, in its reply to a script: in words of its version.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_becomes_a_replica_is_left_without_any_sentinel() {
    let (server, other) = (RedisServer::start().unwrap(), RedisServer::start().unwrap());
    let mut bench = Bench::with_deadline(&server.url(), Duration::from_secs(10));
    bench.is_connected().await;
    bench.is_served("{a}").await;
    let (host, port) = (other.address().ip().to_string(), other.address().port().to_string());
    server.command(&["REPLICAOF", &host, &port]).unwrap();
    eventually("it is refused", async || bench.decide("{a}").await.is_err()).await;
    let seen = bench.sees("the demotion", is_away).await;
    assert_eq!(seen.last(), Some(&HealthEvent::Away(AwayReason::NotMaster)), "{seen:?}");
    server.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    bench.is_connected().await;
    bench.is_served("{a}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r22_a_half_open_breaker_sends_one_probe_at_a_time() {
    let server = RedisServer::start().unwrap();
    // A refusal opens the breaker, so that no sign of life of the supervisor is among the probes.
    let mut bench = Bench::with_deadline(&server.url(), Duration::from_secs(10));
    bench.is_connected().await;
    bench.is_served("{a}").await;
    server.configure("maxmemory", "1").unwrap();
    let load = Load::start(&bench, 5, vec!["{a}".to_owned()]);
    let seen = bench.sees("the breaker", is_opened).await;
    let HealthEvent::BreakerOpened { cause } = seen.last().unwrap() else { panic!("{seen:?}") };
    assert!(cause.contains("OOM"), "{cause}");
    // Counted while nobody calls: then no call and no probe is under way.
    load.stop().await;
    bench.seen_so_far().await;
    let before = server.calls("evalsha").unwrap();
    let load = Load::start(&bench, 5, vec!["{a}".to_owned()]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.extend(bench.sees("the breaker", is_opened).await);
    }
    load.stop().await;
    seen.extend(bench.seen_so_far().await);
    let calls = server.calls("evalsha").unwrap() - before;
    let half_opened = seen.iter().filter(|event| **event == HealthEvent::BreakerHalfOpened).count();
    println!("R22 at 5,000/s: {half_opened} times half-open, {calls} calls");
    assert_eq!(calls, half_opened as u64);
    server.configure("maxmemory", "0").unwrap();
    let load = Load::start(&bench, 5, vec!["{a}".to_owned()]);
    bench.sees("a closed breaker", |event| *event == HealthEvent::BreakerClosed).await;
    let taken = load.stop().await;
    assert!(taken.iter().any(|one| one.failure.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_bulkhead_answers_at_once_and_counts_against_nobody() {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::start(server.address()).unwrap();
    let patient = options(&proxy.url(), Duration::from_secs(10));
    let mut bench = Bench::with(LinkOptions { max_in_flight: 3, ..patient });
    bench.is_connected().await;
    let waiting: Vec<_> = (0..3).map(|_| bench.decide("{a}")).collect();
    for _ in 0..100 {
        let Answer::Ready(Err(error)) = bench.decide("{a}") else { panic!("it waits") };
        assert_eq!(error.kind(), RepositoryErrorKind::Overloaded);
    }
    assert_eq!(bench.link.health().servers[0].breaker, BreakerState::Closed);
    // A caller who goes away makes room.
    drop(waiting);
    assert!(bench.decide("{a}").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_copy_takes_its_connection_and_its_tasks_along() {
    let server = RedisServer::start().unwrap();
    let named = || match server.command(&["CLIENT", "LIST"]).unwrap() {
        Value::BulkString(list) => String::from_utf8(list).unwrap().matches("rate-limit").count(),
        Value::VerbatimString { text, .. } => text.matches("rate-limit").count(),
        other => panic!("{other:?}"),
    };
    let mut bench = Bench::open(&server.url());
    bench.is_connected().await;
    eventually("the connection is there", async || named() == 1).await;
    let copy = bench.link.clone();
    drop(bench);
    assert_eq!(named(), 1);
    drop(copy);
    eventually("the connection is gone", async || named() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_whose_reply_is_lost_ran_once_and_is_not_sent_again() {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::start(server.address()).unwrap();
    let mut bench = Bench::with_deadline(&proxy.url(), Duration::from_millis(500));
    bench.is_connected().await;
    bench.is_served("{a}").await;
    proxy.set_replies(Replies::Drop);
    let error = bench.decide("{b}").await.unwrap_err();
    assert_eq!(error.kind(), RepositoryErrorKind::Timeout);
    let ran = || server.command(&["GET", "{b}"]).unwrap();
    eventually("it ran", async || ran() != Value::Nil).await;
    // A connection that lost a reply is replaced, and what was asked over it is not asked anew.
    let load = Load::start(&bench, 1, vec!["{a}".to_owned()]);
    bench.sees("the doubt", is_away).await;
    proxy.heal().unwrap();
    // One that was made meanwhile waits for a greeting that is lost.
    proxy.reset_existing();
    bench.sees("a closed breaker", |event| *event == HealthEvent::BreakerClosed).await;
    load.stop().await;
    assert_eq!(ran(), Value::BulkString(b"1".to_vec()));
}
