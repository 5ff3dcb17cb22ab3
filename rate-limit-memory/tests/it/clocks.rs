use std::time::Duration;

use rate_limit_core::{ManualClock, RateLimitPolicy, RateLimitRepository, Wait};

use crate::support::{ask, outcome, policy, store, user};

/// Promise G10: a step forward by x gives at most rate · x, a step back gives nothing and costs at
/// most a full refill, however long it is.
pub(crate) fn g10(store: &impl RateLimitRepository, clock: &ManualClock) -> Result<(), String> {
    let policy = policy(RateLimitPolicy::per_minute(10));
    let fill = || (0..20).filter(|_| ask(store, user(0), &policy, 1)).count();
    assert_eq!(fill(), 10);
    clock.step_monotonic_forward(Duration::from_secs(18));
    if fill() != 3 {
        return Err("a step forward by eighteen seconds gives three units".to_owned());
    }
    clock.step_back(Duration::from_secs(1_800));
    if fill() != 0 {
        return Err("a step back refills".to_owned());
    }
    let Wait::After(nanos) = outcome(store, user(0), &policy, 10).wait else {
        return Err("an empty bucket has a wait".to_owned());
    };
    if Duration::from_nanos(nanos) > Duration::from_secs(60) {
        return Err(format!("locked out for {nanos} ns"));
    }
    clock.advance(Duration::from_nanos(nanos));
    match fill() {
        10 => Ok(()),
        filled => Err(format!("{filled} units after a full refill")),
    }
}

#[test]
fn g10_a_step_of_the_clock_gives_no_more_than_it_is_long_and_locks_nobody_out() {
    let clock = ManualClock::new();
    g10(&store(&clock, 64), &clock).unwrap();
}

/// A step back makes every bucket look as if it were in deep debt. It costs nothing: newcomers find
/// no free place and push out the least debt, and once the clock has caught up all is as before.
#[test]
fn g10_a_full_store_survives_a_step_back() {
    let clock = ManualClock::new();
    let store = store(&clock, 1_000);
    let policy = policy(RateLimitPolicy::per_minute(10));
    (0..500).for_each(|number| assert!(ask(&store, user(number), &policy, 10)));
    clock.step_back(Duration::from_secs(600));
    for number in 0..500 {
        assert!(!ask(&store, user(number), &policy, 1), "client {number} keeps its debt");
    }
    assert!(ask(&store, user(500), &policy, 1));
    clock.advance(Duration::from_secs(60));
    for number in 0..500 {
        assert!(ask(&store, user(number), &policy, 10), "client {number} waited a full refill");
    }
    assert_eq!(store.stats().evicted_in_debt, 0);
}
