//! A server whose clock is set while its keys are in use.

use rate_limit_core::{FailureMode, RateLimitPolicy, Verdict};
use redis_testbed::RedisServer;

use crate::bounds::Bound;
use crate::support::{Load, Stack, note, now, patient, policy, user, wall_nanos};

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn r15_a_step_back_gives_nothing_and_locks_out_for_one_refill() {
    let server = RedisServer::builder().stepped_clock().start().unwrap();
    // Without the memory, whose second would be part of the lockout.
    let stack = Stack::build(patient(&server.url()).without_denial_cache(), 1);
    // A refill takes a second.
    let policy = policy(RateLimitPolicy::per_second(20).on_failure(FailureMode::Deny));
    stack.is_served(&policy).await;
    let load = Load::start(&stack, 2, &policy);
    load.goes_on_for(3_000).await;

    server.step_clock(-3_600).unwrap();
    let (stepped, stepped_at) = (now(), wall_nanos());
    // Somebody else asks for the same bucket, so that the first admission is seen at once.
    let everybody = user("everybody");
    while note(&stack, &everybody, &policy).await.verdict != Verdict::Allow {
        assert!(stepped.elapsed() < crate::support::EVENTUALLY, "locked out");
    }
    let lockout = stepped.elapsed();
    load.goes_on_for(3_000).await;

    server.step_clock(3_600).unwrap();
    let forward_at = wall_nanos();
    load.goes_on_for(3_000).await;
    let asked = load.stop().await;

    let bound = Bound::of(&policy);
    let admitted = || asked.iter().filter(|one| one.is_admitted_by_store());
    let back = bound.most_between(admitted().filter(|one| one.done < forward_at));
    let all = bound.most_between(admitted());
    let told = asked.iter().filter(|one| one.sent >= stepped_at && one.sent < forward_at);
    println!(
        "R15 (G10): an hour back: {back} beyond the rate of a burst of {}, locked out for \
         {lockout:?}, {} decisions; two hours forward: {all} beyond the rate",
        bound.burst(),
        told.count(),
    );
    // The one admission that was waited for is not in the log, so one less is missing there.
    assert!(back <= bound.burst(), "a step back is worth nothing: {back}");
    assert!(all <= 2 * bound.burst(), "a step forward is worth one burst: {all}");
    assert!(all > bound.burst(), "the clock was really set");
}
