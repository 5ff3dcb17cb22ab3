//! What is admitted while the shared store is away.

use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::conformance::doubles::FailingRepository;
use rate_limit_core::{
    EnforceRateLimit, FailureMode, ManualClock, RateLimitPolicy, RepositoryErrorKind, Verdict, Wait,
};

use crate::support::{SECOND, Simple, decide, exhaust, one, policy, simple, verdict};

/// A process: it shares a store with the others and has a fallback of its own.
type Node = EnforceRateLimit<FailingRepository<Arc<Simple>>>;

fn node(shared: &Arc<Simple>, clock: &ManualClock, nodes: u32) -> Node {
    let kind = RepositoryErrorKind::Unavailable;
    EnforceRateLimit::builder(FailingRepository::after(u64::MAX, kind, shared.clone()))
        .fallback(simple(clock))
        .nodes(nodes)
        .build()
        .expect("valid")
}

fn cluster(shared: &Arc<Simple>, clock: &ManualClock, nodes: u32) -> Vec<Node> {
    (0..nodes).map(|_| node(shared, clock, nodes)).collect()
}

/// All nodes ask as often as they can for `duration`; returns how many requests were admitted.
fn saturate(
    nodes: &[Node],
    policy: &Arc<RateLimitPolicy>,
    clock: &ManualClock,
    duration: Duration,
) -> u64 {
    let tick = Duration::from_millis(5);
    let mut admitted = 0;
    for _ in 0..duration.as_millis() / tick.as_millis() {
        admitted += nodes.iter().map(|node| exhaust(node, policy)).sum::<u64>();
        clock.advance(tick);
    }
    admitted
}

/// Promise G7: during an outage of length D the nodes admit at most N * ceil(B / N) + r * D; across
/// it, with a store that comes back empty, at most 3B + N + r * t.
#[test]
fn g7_a_full_outage() {
    let (burst, rate, nodes) = (102, 50, 4_u32);
    let clock = ManualClock::new();
    let policy = policy(RateLimitPolicy::per_second(rate).burst(burst));
    let share = burst.div_ceil(u64::from(nodes)) * u64::from(nodes);

    let mut cluster = cluster(&Arc::new(simple(&clock)), &clock, nodes);
    let before = saturate(&cluster, &policy, &clock, 5 * SECOND);
    assert!(before <= burst + rate * 5, "{before} before the outage");

    cluster.iter().for_each(|node| node.repository().fail());
    let during = saturate(&cluster, &policy, &clock, 10 * SECOND);
    assert!(during <= share + rate * 10, "{during} during the outage");
    assert!(during >= rate * 10, "the service goes on: {during} during the outage");

    // The store comes back empty.
    let restarted = Arc::new(simple(&clock));
    cluster = cluster.iter().map(|_| node(&restarted, &clock, nodes)).collect();
    let after = saturate(&cluster, &policy, &clock, 5 * SECOND);
    let total = before + during + after;
    let bound = 3 * burst + u64::from(nodes) + rate * 20;
    assert!(total <= bound, "{total} across the outage, of {bound}");
}

/// Promise G7: across a partial outage at most 2B + N + r * (t + D).
#[test]
fn g7_a_partial_outage() {
    let (burst, rate, nodes) = (102, 50, 4);
    let clock = ManualClock::new();
    let policy = policy(RateLimitPolicy::per_second(rate).burst(burst));
    let cluster = cluster(&Arc::new(simple(&clock)), &clock, nodes);
    let before = saturate(&cluster, &policy, &clock, 5 * SECOND);
    cluster.iter().take(2).for_each(|node| node.repository().fail());
    let during = saturate(&cluster, &policy, &clock, 10 * SECOND);
    cluster.iter().for_each(|node| node.repository().recover());
    let after = saturate(&cluster, &policy, &clock, 5 * SECOND);
    let total = before + during + after;
    let bound = 2 * burst + u64::from(nodes) + rate * (20 + 10);
    assert!(total <= bound, "{total} across the outage, of {bound}");
}

/// A node that flaps keeps its fallback, so each flap costs nothing beyond the share of the burst.
#[test]
fn g7_flapping_gains_nothing() {
    let clock = ManualClock::new();
    let policy = policy(RateLimitPolicy::per_hour(40));
    let node = node(&Arc::new(simple(&clock)), &clock, 4);
    let mut admitted = 0;
    for _ in 0..20 {
        node.repository().fail();
        admitted += exhaust(&node, &policy);
        node.repository().recover();
        admitted += exhaust(&node, &policy);
    }
    assert_eq!(admitted, 40 + 10);
}

/// Promise G8: `Allow` admits exactly its own bucket per node, then answers 503.
#[test]
fn g8_allow_is_budgeted() {
    let clock = ManualClock::new();
    let policy = policy(RateLimitPolicy::per_second(5).burst(20).on_failure(FailureMode::Allow));
    for node in cluster(&Arc::new(simple(&clock)), &clock, 4) {
        node.repository().fail();
        assert_eq!(exhaust(&node, &policy), 20, "the full burst, not a share of it");
        let spent = decide(&node, one(&policy, 1)).decision;
        assert_eq!(spent.verdict(), Verdict::Unavailable);
        assert!(spent.is_degraded());
    }
    // The budget refills at the policy's own rate.
    let node = node(&Arc::new(simple(&clock)), &clock, 4);
    node.repository().fail();
    exhaust(&node, &policy);
    clock.advance(3 * SECOND);
    assert_eq!(exhaust(&node, &policy), 15);
    assert_eq!(verdict(&node, one(&policy, 1)), Verdict::Unavailable);
}

/// Case R27: `Deny` answers 503 and not 429, and there is no policy that could show in fields.
#[test]
fn r27_deny_is_unavailable() {
    let clock = ManualClock::new();
    let policy = policy(RateLimitPolicy::per_minute(5).on_failure(FailureMode::Deny));
    let node = node(&Arc::new(simple(&clock)), &clock, 1);
    assert_eq!(verdict(&node, one(&policy, 1)), Verdict::Allow);
    node.repository().fail();
    let mut enforced = decide(&node, one(&policy, 1));
    assert_eq!(enforced.decision.verdict(), Verdict::Unavailable);
    assert!(enforced.decision.is_degraded());
    assert_eq!(enforced.decision.enforced().count(), 0);
    assert_eq!(enforced.decision.wait(), Wait::Now, "no policy told a wait");
    assert!(enforced.take_receipt().is_none());
    assert_eq!(enforced.failure.map(|it| it.kind()), Some(RepositoryErrorKind::Unavailable));
    node.repository().recover();
    assert_eq!(
        decide(&node, one(&policy, 0)).decision.closest().map(|it| it.outcome().remaining),
        Some(4)
    );
}

/// A request that only the whole store could admit is unavailable, not denied for ever.
#[test]
fn a_cost_above_the_share_is_unavailable() {
    let clock = ManualClock::new();
    let policy = policy(RateLimitPolicy::per_minute(100));
    let node = node(&Arc::new(simple(&clock)), &clock, 4);
    node.repository().fail();
    assert_eq!(verdict(&node, one(&policy, 26)), Verdict::Unavailable);
    assert_eq!(verdict(&node, one(&policy, 25)), Verdict::Allow);
    let denied = decide(&node, one(&policy, 25)).decision;
    assert_eq!((denied.verdict(), denied.wait()), (Verdict::Deny, Wait::After(60_000_000_000)));
}

#[test]
fn windows_are_shared_among_nodes_as_well() {
    for count in [
        rate_limit_core::RateLimitPolicyBuilder::fixed_window,
        rate_limit_core::RateLimitPolicyBuilder::aligned_window,
        rate_limit_core::RateLimitPolicyBuilder::sliding_window,
        rate_limit_core::RateLimitPolicyBuilder::sliding_log,
    ] {
        let clock = ManualClock::new();
        let policy = policy(count(RateLimitPolicy::per_minute(10)));
        let cluster = cluster(&Arc::new(simple(&clock)), &clock, 4);
        cluster.iter().for_each(|node| node.repository().fail());
        let admitted: u64 = cluster.iter().map(|node| exhaust(node, &policy)).sum();
        assert_eq!(admitted, 12, "{policy}: four times ten quarters, rounded up");
    }
}
