//! What an attack on one key costs the server.

use std::time::Duration;

use rate_limit_core::{RateLimitPolicy, Verdict};
use rate_limit_redis::RedisRepositoryBuilder;
use redis_testbed::RedisServer;

use crate::support::{Load, Stack, now, patient, policy};

/// So many calls per second are more than the memory lets through.
const MANY: u64 = 10;

/// A store whose answers are waited for, so that the fallback never decides.
fn undisturbed(server: &RedisServer) -> RedisRepositoryBuilder {
    patient(&server.url()).timeout(Duration::from_secs(10))
}

/// Attacks for some seconds; returns the calls that the server saw, the requests, and the seconds.
async fn attack(stack: &Stack, server: &RedisServer) -> (u64, usize, u64) {
    let policy = policy(RateLimitPolicy::per_hour(10));
    stack.is_served(&policy).await;
    // Exhausted, and told so: from here on it is an attack.
    let load = Load::start(stack, 1, &policy);
    load.goes_on_for(200).await;
    let asked = load.stop().await;
    assert_eq!(asked.iter().filter(|one| one.verdict == Verdict::Allow).count(), 10);

    let before = server.calls("evalsha").unwrap();
    let started = now();
    let load = Load::start(stack, 5, &policy);
    load.goes_on_for(15_000).await;
    let asked = load.stop().await;
    let seconds = started.elapsed().as_secs();
    let calls = server.calls("evalsha").unwrap() - before;
    assert!(asked.iter().all(|one| one.verdict == Verdict::Deny && !one.is_degraded));
    (calls, asked.len(), seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_hot_key_costs_the_server_one_call_per_second() {
    let server = RedisServer::start().unwrap();
    let stack = Stack::build(undisturbed(&server), 1);
    let (calls, requests, seconds) = attack(&stack, &server).await;
    let here = stack.limit.repository().denied_from_memory();
    println!("{requests} denials in {seconds} s: {calls} calls, {here} answered from memory");
    // One per second. A machine that stalls for a second forgets in between, and asks several times
    // at once; how often exactly is told by tests of the memory alone.
    assert!(calls <= MANY * (seconds + 2), "{calls} calls in {seconds} s");
    assert!(calls >= 1, "whether it still holds is asked once in a while");
}

/// The same attack without the memory, to show that it is the memory that spares the server.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_memory_denials_are_asked_for() {
    let server = RedisServer::start().unwrap();
    let stack = Stack::build(undisturbed(&server).without_denial_cache(), 1);
    let (calls, requests, seconds) = attack(&stack, &server).await;
    println!("{requests} denials in {seconds} s: {calls} calls without the memory");
    assert!(calls > MANY * (seconds + 2), "{calls} calls in {seconds} s");
}
