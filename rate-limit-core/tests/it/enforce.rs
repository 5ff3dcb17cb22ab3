//! The use case: lists, failure modes, receipts.

use std::sync::Arc;

use rate_limit_core::conformance::block_on;
use rate_limit_core::conformance::doubles::{FailingRepository, RecordingRepository};
use rate_limit_core::{
    AccessLists, Acquire, Adjustments, Answer, Charges, Decide, EnforceError, EnforceRateLimit,
    FailureMode, ManualClock, Network, Origin, RateLimitPolicy, RateLimitRepository,
    RepositoryErrorKind, Settle, Verdict,
};

use crate::support::{Simple, decide, each, exhaust, one, policy, simple, user, verdict};

type Recorded = Arc<RecordingRepository<Simple>>;

fn recorded(clock: &ManualClock) -> Recorded {
    Arc::new(RecordingRepository::around(simple(clock)))
}

/// A use case whose store is away, and its fallback.
fn degraded(
    clock: &ManualClock,
) -> (EnforceRateLimit<FailingRepository<Recorded>>, Recorded, Recorded) {
    let (store, fallback) = (recorded(clock), recorded(clock));
    let kind = RepositoryErrorKind::Timeout;
    let limit = EnforceRateLimit::builder(FailingRepository::after(0, kind, store.clone()))
        .fallback(fallback.clone())
        .build()
        .expect("valid");
    (limit, store, fallback)
}

#[test]
fn a_policy_that_needs_a_fallback_is_refused_without_one() {
    let store = || simple(&ManualClock::new());
    let local = policy(RateLimitPolicy::per_minute(5).named("api"));
    let error = EnforceRateLimit::builder(store()).policy(&local).build().expect_err("no fallback");
    let (name, mode) = ("api".to_owned(), FailureMode::Local);
    assert_eq!(error, EnforceError::MissingFallback { policy: name, mode });
    assert!(error.to_string().contains("policy `api` has failure mode Local"), "{error}");

    let built = EnforceRateLimit::builder(store()).policy(&local).without_fallback().build();
    assert!(built.is_ok());
    let built = EnforceRateLimit::builder(store()).policy(&local).fallback(store()).build();
    assert!(built.is_ok());
    for mode in [FailureMode::Deny, FailureMode::AllowUnlimited] {
        let content = policy(RateLimitPolicy::per_minute(5).on_failure(mode));
        assert!(EnforceRateLimit::builder(store()).policy(&content).build().is_ok(), "{mode:?}");
    }
    let shadow = policy(RateLimitPolicy::per_minute(5).shadow());
    assert!(EnforceRateLimit::builder(store()).policy(&shadow).build().is_ok());
}

#[test]
fn the_number_of_nodes_is_checked() {
    for (nodes, accepted) in [(0, false), (1, true), (65_535, true), (65_536, false)] {
        let store = simple(&ManualClock::new());
        let built = EnforceRateLimit::builder(store).nodes(nodes).build();
        assert_eq!(built.is_ok(), accepted, "{nodes} nodes");
    }
}

#[test]
fn exempt_and_blocked_requests_reach_no_store() {
    let clock = ManualClock::new();
    let store = recorded(&clock);
    let network = |text: &str| Network::new(text.parse().expect("valid"), 24).expect("valid");
    let lists = AccessLists::new()
        .exempt_network(network("192.0.2.0"))
        .block_network(network("192.0.2.0"))
        .block_network(network("198.51.100.0"))
        .block_identity(user("mallory"));
    let limit = EnforceRateLimit::builder(store.clone()).access(lists).build().expect("valid");
    let policy = policy(RateLimitPolicy::per_minute(1));
    let ask = |address: &str, charges: Charges| match limit
        .decide(Some(address.parse().expect("valid")), charges)
    {
        Decide::Ready(enforced) => enforced.decision.verdict(),
        Decide::Pending(_) => panic!("this store answers at once"),
    };
    for _ in 0..5 {
        assert_eq!(ask("192.0.2.1", one(&policy, 1)), Verdict::Exempt, "exempt beats block");
        assert_eq!(ask("198.51.100.1", one(&policy, 1)), Verdict::Block);
        let charge = rate_limit_core::Charge::new(user("mallory"), policy.clone(), 1);
        assert_eq!(ask("203.0.113.1", [charge].into_iter().collect()), Verdict::Block);
        assert_eq!(ask("203.0.113.1", Charges::new()), Verdict::Allow, "nothing to charge");
    }
    assert!(store.acquired().is_empty());
    assert_eq!(ask("203.0.113.1", one(&policy, 1)), Verdict::Allow);
    assert_eq!(store.acquired().len(), 1);
}

#[test]
fn a_request_is_one_call_and_is_not_repeated() {
    let clock = ManualClock::new();
    let (limit, store, fallback) = degraded(&clock);
    limit.repository().recover();
    let policies = [
        policy(RateLimitPolicy::per_minute(1)),
        policy(RateLimitPolicy::per_hour(9).named("hour")),
    ];
    decide(&limit, each(&policies, 1));
    decide(&limit, each(&policies, 1));
    assert_eq!((store.acquired().len(), fallback.acquired().len()), (2, 0));
    limit.repository().fail();
    decide(&limit, each(&policies, 1));
    assert_eq!((store.acquired().len(), fallback.acquired().len()), (2, 1));
}

#[test]
fn decisions_of_the_fallback_are_marked() {
    let clock = ManualClock::new();
    let (limit, _, _) = degraded(&clock);
    let policy = policy(RateLimitPolicy::per_minute(1));
    let mut allowed = decide(&limit, one(&policy, 1));
    assert_eq!(allowed.decision.verdict(), Verdict::Allow);
    assert!(allowed.decision.is_degraded());
    assert_eq!(allowed.take_receipt().as_ref().map(|it| it.origin()), Some(Origin::Fallback));
    assert_eq!(allowed.failure.map(|it| it.kind()), Some(RepositoryErrorKind::Timeout));
    let denied = decide(&limit, one(&policy, 1));
    assert_eq!(denied.decision.verdict(), Verdict::Deny, "a limit is a limit: 429");
    assert!(denied.decision.is_degraded() && denied.failure.is_some());
    limit.repository().recover();
    let healthy = decide(&limit, one(&policy, 1));
    assert!(!healthy.decision.is_degraded() && healthy.failure.is_none());
}

#[test]
fn a_receipt_is_settled_where_it_was_written() {
    let clock = ManualClock::new();
    let (limit, store, fallback) = degraded(&clock);
    let policy = policy(RateLimitPolicy::per_minute(10));
    let from_fallback = decide(&limit, one(&policy, 4)).take_receipt().expect("charged");
    limit.repository().recover();
    let from_store = decide(&limit, one(&policy, 4)).take_receipt().expect("charged");

    // The store is back, and all the same the fallback gets its own receipt.
    let settled = block_on(limit.settle(from_fallback, |_| 0)).expect("settled");
    assert_eq!(settled.total().returned, 4);
    assert_eq!((store.settled().len(), fallback.settled().len()), (0, 1));

    // And the other way round: a store that is away loses the settlement, and nobody else gets it.
    limit.repository().fail();
    assert!(block_on(limit.settle(from_store, |_| 0)).is_err());
    assert_eq!((store.settled().len(), fallback.settled().len()), (0, 1));
    limit.repository().recover();
    let left = decide(&limit, one(&policy, 0)).decision;
    assert_eq!(left.closest().map(|it| it.outcome().remaining), Some(6), "the charge stands");
}

#[test]
fn settling_adjusts_only_what_differs() {
    let clock = ManualClock::new();
    let store = recorded(&clock);
    let limit = EnforceRateLimit::builder(store.clone()).build().expect("valid");
    let less = policy(RateLimitPolicy::per_minute(10).named("less"));
    let more = policy(RateLimitPolicy::per_minute(10).named("more"));
    let same = policy(RateLimitPolicy::per_minute(10).named("same"));
    let receipt = decide(&limit, each([&less, &more, &same], 3)).take_receipt().expect("charged");
    let settled = block_on(limit.settle(receipt, |charge| match charge.policy().name().as_str() {
        "less" => 1,
        "more" => 12,
        _ => 3,
    }));
    let total = settled.expect("settled").total();
    assert_eq!((total.returned, total.excess), (2, 2));
    assert_eq!(store.settled().first().map(Vec::len), Some(2));
    let unchanged = decide(&limit, one(&same, 1)).take_receipt().expect("charged");
    block_on(limit.settle(unchanged, |_| 1)).expect("settled");
    assert_eq!(store.settled().len(), 1, "nothing to adjust, nothing to ask");
    let left =
        |policy| decide(&limit, one(policy, 0)).decision.closest().map(|it| it.outcome().remaining);
    assert_eq!((left(&less), left(&more), left(&same)), (Some(9), Some(0), Some(6)));
}

#[test]
fn count_only_failures() {
    let clock = ManualClock::new();
    let limit = EnforceRateLimit::builder(simple(&clock)).build().expect("valid");
    let login = policy(RateLimitPolicy::per_minute(3).named("login"));
    for _ in 0..20 {
        let receipt = decide(&limit, one(&login, 1)).take_receipt().expect("admitted");
        block_on(limit.settle(receipt, |_| 0)).expect("settled");
    }
    assert_eq!(exhaust(&limit, &login), 3, "successes cost nothing, failures do");
}

#[test]
fn one_policy_that_would_rather_not_decide_refuses_the_whole_request() {
    let clock = ManualClock::new();
    let (limit, _, fallback) = degraded(&clock);
    let local = policy(RateLimitPolicy::per_minute(5).named("local"));
    let strict =
        policy(RateLimitPolicy::per_minute(5).named("strict").on_failure(FailureMode::Deny));
    for order in [[&local, &strict], [&strict, &local]] {
        assert_eq!(verdict(&limit, each(order, 1)), Verdict::Unavailable);
    }
    assert!(fallback.acquired().is_empty(), "nothing is charged");
}

#[test]
fn mixed_failure_modes_are_all_or_nothing_on_the_fallback() {
    let clock = ManualClock::new();
    let (limit, _, fallback) = degraded(&clock);
    let mode =
        |name, limit, mode| policy(RateLimitPolicy::per_hour(limit).named(name).on_failure(mode));
    let local = mode("local", 3, FailureMode::Local);
    let allow = mode("allow", 5, FailureMode::Allow);
    let unlimited = mode("unlimited", 1, FailureMode::AllowUnlimited);
    let all = || each([&local, &allow, &unlimited], 1);
    for _ in 0..3 {
        assert_eq!(verdict(&limit, all()), Verdict::Allow);
    }
    assert_eq!(verdict(&limit, all()), Verdict::Deny, "the local limit is reached");
    assert!(fallback.acquired().iter().all(|charges| charges.len() == 2), "unlimited is not asked");
    assert_eq!(exhaust(&limit, &allow), 2, "the denied request charged nothing");
    assert_eq!(
        verdict(&limit, all()),
        Verdict::Unavailable,
        "a spent budget is no fault of the client"
    );
    for _ in 0..50 {
        assert_eq!(verdict(&limit, one(&unlimited, 1)), Verdict::Allow);
    }
}

#[test]
fn a_shadow_policy_never_refuses_because_the_store_is_away() {
    let clock = ManualClock::new();
    let (limit, _, _) = degraded(&clock);
    let shadow = policy(
        RateLimitPolicy::per_minute(1).named("shadow").shadow().on_failure(FailureMode::Deny),
    );
    let tight = policy(RateLimitPolicy::per_minute(1).named("tight").shadow());
    let local = policy(RateLimitPolicy::per_minute(3).named("local"));
    for _ in 0..3 {
        assert_eq!(verdict(&limit, each([&shadow, &tight, &local], 1)), Verdict::Allow);
    }
    assert_eq!(verdict(&limit, each([&shadow, &tight, &local], 1)), Verdict::Deny);
    assert_eq!(verdict(&limit, one(&shadow, 1)), Verdict::Allow);

    // Nor where the fallback is absent or away as well, alone or beside a policy that lets all pass.
    let kind = RepositoryErrorKind::Unavailable;
    let away = || EnforceRateLimit::builder(FailingRepository::always(kind));
    let open = policy(
        RateLimitPolicy::per_minute(1).named("open").on_failure(FailureMode::AllowUnlimited),
    );
    let alone = away().policy(&tight).policy(&open).build().expect("nobody needs a fallback");
    let both_away = away().fallback(FailingRepository::always(kind)).build().expect("valid");
    for limit in [&alone, &both_away] {
        for charges in [one(&tight, 1), each([&open, &tight], 1)] {
            let mut enforced = decide(limit, charges);
            assert_eq!(enforced.decision.verdict(), Verdict::Allow);
            assert!(enforced.decision.is_degraded());
            let told = enforced.failure.as_ref().map(|failure| failure.kind());
            assert_eq!(told, Some(kind), "the failure is told");
            assert!(enforced.take_receipt().is_none(), "nothing was charged");
        }
        assert_eq!(verdict(limit, each([&tight, &local], 1)), Verdict::Unavailable);
    }
}

#[test]
fn without_any_answer_a_request_is_unavailable() {
    let kind = RepositoryErrorKind::Unavailable;
    let local = policy(RateLimitPolicy::per_minute(3));
    let alone = EnforceRateLimit::builder(FailingRepository::always(kind))
        .without_fallback()
        .build()
        .expect("valid");
    assert_eq!(verdict(&alone, one(&local, 1)), Verdict::Unavailable);
    let both_away = EnforceRateLimit::builder(FailingRepository::always(kind))
        .fallback(FailingRepository::always(kind))
        .build()
        .expect("valid");
    let mut enforced = decide(&both_away, one(&local, 1));
    assert_eq!(enforced.decision.verdict(), Verdict::Unavailable);
    assert!(enforced.take_receipt().is_none());
}

/// Answers for the first charge only, as if it had lost the others.
struct Forgetful(Simple);

impl RateLimitRepository for Forgetful {
    fn acquire(&self, charges: &Charges) -> Acquire {
        match self.0.acquire(charges) {
            Answer::Ready(Ok(all)) => Answer::ready(all.iter().take(1).copied().collect()),
            other => other,
        }
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        self.0.settle(adjustments)
    }
}

#[test]
fn an_answer_that_leaves_out_a_charge_is_none() {
    let clock = ManualClock::new();
    let (wide, narrow) = (
        policy(RateLimitPolicy::per_minute(9).named("wide")),
        policy(RateLimitPolicy::per_minute(1).named("narrow")),
    );
    let limit = EnforceRateLimit::builder(Forgetful(simple(&clock)))
        .fallback(simple(&clock))
        .build()
        .expect("valid");
    let first = decide(&limit, each([&wide, &narrow], 1));
    assert!(first.decision.is_degraded(), "the fallback decides instead");
    assert_eq!(first.failure.map(|it| it.kind()), Some(RepositoryErrorKind::Corrupt));
    assert_eq!(verdict(&limit, each([&wide, &narrow], 1)), Verdict::Deny);
    let alone = EnforceRateLimit::builder(Forgetful(simple(&clock)))
        .without_fallback()
        .build()
        .expect("valid");
    assert_eq!(verdict(&alone, each([&wide, &narrow], 1)), Verdict::Unavailable);
}

#[test]
fn a_receipt_is_handed_out_once() {
    let clock = ManualClock::new();
    let limit =
        EnforceRateLimit::builder(simple(&clock)).without_fallback().build().expect("valid");
    let policy = policy(RateLimitPolicy::per_minute(1));
    let mut enforced = decide(&limit, one(&policy, 1));
    assert!(enforced.take_receipt().is_some());
    assert!(enforced.take_receipt().is_none());
}

#[test]
fn shadow_shows_in_neither_verdict_nor_wait() {
    let clock = ManualClock::new();
    let limit = EnforceRateLimit::builder(simple(&clock)).build().expect("valid");
    let shadow = policy(RateLimitPolicy::per_day(1).named("shadow").shadow());
    let enforced = policy(RateLimitPolicy::per_minute(2).named("enforced"));
    let both = || each([&shadow, &enforced], 1);
    decide(&limit, both());
    let second = decide(&limit, both()).decision;
    assert_eq!(second.verdict(), Verdict::Allow);
    assert_eq!(second.would_deny().count(), 1);
    assert_eq!(second.closest().map(|it| it.policy().name().as_str()), Some("enforced"));
    let third = decide(&limit, both()).decision;
    assert_eq!(third.verdict(), Verdict::Deny);
    assert_eq!(third.wait().duration(), Some(std::time::Duration::from_secs(30)), "not a day");
}
