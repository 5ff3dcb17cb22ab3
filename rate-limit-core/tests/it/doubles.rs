//! The test doubles do what applications rely on in their tests.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;

use rate_limit_core::conformance::block_on;
use rate_limit_core::conformance::doubles::{
    FailingRepository, RecordingRepository, SlowRepository,
};
use rate_limit_core::{
    Decide, EnforceRateLimit, ManualClock, RateLimitPolicy, RateLimitRepository,
    RepositoryErrorKind, Verdict,
};

use crate::support::{one, policy, simple, verdict};

#[test]
fn a_slow_store_answers_when_it_is_released() {
    let clock = ManualClock::new();
    let (store, release) = SlowRepository::around(simple(&clock));
    let limit = EnforceRateLimit::builder(store).build().expect("valid");
    let once = policy(RateLimitPolicy::per_hour(1));
    let asking = thread::spawn({
        let (limit, once) = (limit.clone(), once.clone());
        move || verdict(&limit, one(&once, 1))
    });
    release.all();
    assert_eq!(asking.join().expect("no panic"), Verdict::Allow);
    assert_eq!(verdict(&limit, one(&once, 1)), Verdict::Deny);
}

#[test]
fn one_release_lets_one_answer_go() {
    let (store, release) = SlowRepository::around(simple(&ManualClock::new()));
    let policy = policy(RateLimitPolicy::per_hour(10));
    let charges = one(&policy, 1);
    let (mut first, mut second) = (pin!(store.acquire(&charges)), pin!(store.acquire(&charges)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    release.one();
    assert!(second.as_mut().poll(&mut context).is_ready(), "whoever is polled first");
    assert!(first.as_mut().poll(&mut context).is_pending());
    release.one();
    assert!(first.as_mut().poll(&mut context).is_ready());
}

/// Whoever gives up waiting has been charged all the same, wholly or not at all.
#[test]
fn a_dropped_decision_stays_charged() {
    let clock = ManualClock::new();
    let (store, release) = SlowRepository::around(simple(&clock));
    let limit = EnforceRateLimit::builder(store).build().expect("valid");
    let policy = policy(RateLimitPolicy::per_hour(3));
    let Decide::Pending(pending) = limit.decide(None, one(&policy, 2)) else {
        panic!("a slow store does not answer at once");
    };
    drop(pending);
    release.all();
    assert_eq!(verdict(&limit, one(&policy, 2)), Verdict::Deny);
    assert_eq!(verdict(&limit, one(&policy, 1)), Verdict::Allow);
}

/// The failure modes hold whether the error comes at once or later.
#[test]
fn a_late_error_is_handled_like_an_early_one() {
    let clock = ManualClock::new();
    let failing = FailingRepository::after(0, RepositoryErrorKind::Timeout, simple(&clock));
    let (store, release) = SlowRepository::around(failing);
    let limit = EnforceRateLimit::builder(store).fallback(simple(&clock)).build().expect("valid");
    release.all();
    let policy = policy(RateLimitPolicy::per_hour(1));
    assert_eq!(verdict(&limit, one(&policy, 1)), Verdict::Allow);
    assert_eq!(verdict(&limit, one(&policy, 1)), Verdict::Deny);
}

#[test]
fn a_failing_store_counts_calls() {
    let store =
        FailingRepository::after(2, RepositoryErrorKind::Overloaded, simple(&ManualClock::new()));
    let policy = policy(RateLimitPolicy::per_hour(10));
    let ask = || block_on(store.acquire(&one(&policy, 1))).map_err(|error| error.kind());
    assert!(ask().is_ok() && ask().is_ok());
    assert_eq!(ask().err(), Some(RepositoryErrorKind::Overloaded));
    store.recover();
    assert!((0..5).all(|_| ask().is_ok()));
    store.fail();
    assert!(ask().is_err());
}

#[test]
fn a_recording_store_writes_down_charges_and_adjustments() {
    let store = Arc::new(RecordingRepository::around(simple(&ManualClock::new())));
    let limit = EnforceRateLimit::builder(store.clone()).build().expect("valid");
    let policy = policy(RateLimitPolicy::per_hour(10));
    let receipt = crate::support::decide(&limit, one(&policy, 3)).take_receipt().expect("charged");
    block_on(limit.settle(receipt, |_| 1)).expect("settled");
    let units: Vec<u64> = store
        .acquired()
        .iter()
        .flat_map(|it| it.iter().map(|one| one.units()).collect::<Vec<_>>())
        .collect();
    assert_eq!(units, [3]);
    let changes: Vec<_> = store.settled().concat().iter().map(|it| it.change).collect();
    assert_eq!(changes, [rate_limit_core::Change::Refund(2)]);
    store.clear();
    assert!(store.acquired().is_empty() && store.settled().is_empty());
}
