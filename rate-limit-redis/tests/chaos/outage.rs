//! A server that crashes, hangs, or comes back without its data, while requests go on.

use std::time::Duration;

use rate_limit_core::{FailureMode, RateLimitPolicy, Verdict};
use rate_limit_redis::RedisRepository;
use redis_testbed::RedisServer;

use crate::bounds::Bound;
use crate::support::{Asked, Load, Policy, Stack, eventually, now, percentile, policy, wall_nanos};

/// So many requests per millisecond.
const RATE: usize = 5;

fn limit(failure_mode: FailureMode) -> Policy {
    policy(RateLimitPolicy::per_second(100).on_failure(failure_mode))
}

/// What breaks the server and what mends it.
struct Fault {
    name: &'static str,
    begin: fn(&RedisServer),
    end: fn(&RedisServer),
}

/// Puts a store with the default deadline through an outage under load, prints the figures of G13,
/// and checks that every request was decided by its policy, within the bound of one node.
async fn put_through(fault: Fault) {
    let Fault { name, begin, end } = fault;
    let server = RedisServer::start().unwrap();
    let stack = Stack::build(RedisRepository::builder(server.url()), 1);
    let policy = limit(FailureMode::Local);
    stack.is_served(&policy).await;
    let load = Load::start(&stack, RATE, &policy);
    load.goes_on_for(2_000).await;

    let begun = wall_nanos();
    begin(&server);
    load.goes_on_for(5_000).await;
    end(&server);
    let (mended, mended_at) = (now(), wall_nanos());
    stack.is_served(&policy).await;
    let recovered = mended.elapsed();
    load.goes_on_for(2_000).await;
    let asked = load.stop().await;

    let during: Vec<&Asked> =
        asked.iter().filter(|one| (begun..mended_at).contains(&one.sent)).collect();
    let degraded = during.iter().filter(|one| one.is_degraded).count();
    let slow = during.iter().filter(|one| one.took() > Duration::from_millis(5)).count();
    // The breaker is open from the first decision that did not wait.
    let opened = during.iter().find(|one| one.is_degraded && one.took() < Duration::from_millis(1));
    let opened = opened.map_or(0, |one| one.done - begun);
    let once_open = || {
        during
            .iter()
            .copied()
            .filter(|one| one.is_degraded && one.sent > begun + opened + 50_000_000)
    };
    println!(
        "{name} (G13): {} decisions in {:?} of outage, {degraded} by the fallback, {slow} longer \
         than 5 ms; all: p99 {:?}, longest {:?}; first fast fallback after {:?}; from 50 ms later: \
         p50 {:?}, p99 {:?}; the store decides again {recovered:?} after it is well",
        during.len(),
        Duration::from_nanos(mended_at - begun),
        percentile(during.iter().copied(), 990),
        percentile(during.iter().copied(), 1_000),
        Duration::from_nanos(opened),
        percentile(once_open(), 500),
        percentile(once_open(), 990),
    );
    assert!(degraded * 10 > during.len() * 9, "{name}: the fallback decided {degraded}");
    for one in &asked {
        // `Local` always decides.
        assert!(matches!(one.verdict, Verdict::Allow | Verdict::Deny), "{name}: {one:?}");
    }
    let bound = Bound::of(&policy);
    let most = bound.most_between(asked.iter().filter(|one| one.verdict == Verdict::Allow));
    println!("{name} (G7, one node): {most} admitted beyond the rate, burst {}", bound.burst());
    assert!(most <= 3 * bound.burst() + 1, "{name}: {most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_crash_under_load_is_decided_by_policy_within_the_bound() {
    put_through(Fault {
        name: "R01 kill -9",
        begin: |server| server.kill().unwrap(),
        end: |server| server.restart().unwrap(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_a_hang_under_load_is_decided_by_policy_within_the_bound() {
    put_through(Fault {
        name: "R02 SIGSTOP",
        begin: |server| server.suspend().unwrap(),
        end: |server| server.resume().unwrap(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r05_a_restart_without_data_costs_at_most_one_burst_per_key() {
    let server = RedisServer::start().unwrap();
    let stack = Stack::open(&server.url());
    // Nothing passes but what the store admits.
    let policy = limit(FailureMode::Deny);
    stack.is_served(&policy).await;
    let load = Load::start(&stack, RATE, &policy);
    load.goes_on_for(5_000).await;
    server.restart().unwrap();
    let restarted = wall_nanos();
    stack.is_served(&policy).await;
    load.goes_on_for(5_000).await;
    let asked = load.stop().await;

    let bound = Bound::of(&policy);
    let instants = || asked.iter().filter_map(|one| one.charged);
    let before = bound.most(instants().filter(|at| *at < restarted));
    let after = bound.most(instants().filter(|at| *at >= restarted));
    let across = bound.most(instants());
    println!("R05: {before} beyond the rate before, {after} after, {across} across the restart");
    assert!(before <= bound.burst() && after <= bound.burst());
    assert!(across <= 2 * bound.burst());
    assert!(after > bound.burst() / 2, "requests went on after the restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_an_application_starts_without_its_store_and_finds_it_later() {
    let server = RedisServer::start().unwrap();
    server.kill().unwrap();
    let stack = Stack::open(&server.url());
    let policy = limit(FailureMode::Local);
    let load = Load::start(&stack, RATE, &policy);
    load.goes_on_for(1_000).await;
    server.restart().unwrap();
    stack.is_served(&policy).await;
    load.goes_on_for(1_000).await;
    let asked = load.stop().await;
    // A loaded machine may miss a deadline also at the end.
    let mut last = asked.iter().rev().take(1_000);
    assert!(asked.first().unwrap().is_degraded && last.any(|one| !one.is_degraded));
    assert!(asked.iter().all(|one| matches!(one.verdict, Verdict::Allow | Verdict::Deny)));
    // Whoever is told that the store decides is not told so by the fallback.
    eventually("the store is well", async || stack.limit.repository().health().is_well()).await;
}
