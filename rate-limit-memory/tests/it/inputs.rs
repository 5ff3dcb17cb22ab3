use rate_limit_memory::{MemoryError, MemoryRepository};

#[test]
fn caps_that_cannot_work_are_refused_with_the_figures() {
    for max_keys in [0, 63, 1_000_000_001, usize::MAX] {
        let error = MemoryRepository::builder().max_keys(max_keys).build().unwrap_err();
        assert_eq!(
            error,
            MemoryError::MaxKeys { max_keys, min: 64, max: 1_000_000_000 },
            "the error carries the value"
        );
    }
    let error = MemoryRepository::builder().max_keys(0).build().unwrap_err().to_string();
    assert_eq!(error, "max_keys = 0 is out of range; expected 64 to 1000000000");
    assert!(MemoryRepository::builder().max_keys(64).build().is_ok());
}

/// Case A11: the store counts on the monotonic axis, so setting the time of day changes nothing.
#[test]
fn a11_setting_the_time_of_day_by_an_hour_has_no_effect() {
    use crate::support::{ask, policy, store, user};
    use rate_limit_core::{ManualClock, RateLimitPolicy};
    use std::time::Duration;

    let clock = ManualClock::new();
    let store = store(&clock, 1_000);
    let policy = policy(RateLimitPolicy::per_minute(3));
    (0..3).for_each(|_| assert!(ask(&store, user(1), &policy, 1)));
    clock.step_utc_forward(Duration::from_secs(3_600));
    assert!(!ask(&store, user(1), &policy, 1), "a step forward refills nothing");
    clock.step_utc_back(Duration::from_secs(7_200));
    assert!(!ask(&store, user(1), &policy, 1));
    clock.step_monotonic_forward(Duration::from_secs(20));
    assert!(ask(&store, user(1), &policy, 1), "a step back locks nobody out");
}
