use super::*;
use crate::algorithm::MAX_UNITS;

const YEAR: Duration = MAX_WINDOW;

/// Case A07 and its neighbours: each refused value is named, together with what was expected.
#[test]
fn a07_values_that_cannot_work_are_refused_by_name() {
    let ladder = PenaltyLadder::after(3, Duration::from_secs(1));
    let cases: Vec<(RateLimitPolicyBuilder, &str)> = vec![
        (RateLimitPolicy::per_second(0), "limit 0 is out of range; expected 1 to 4294967295"),
        (
            RateLimitPolicy::per_day(MAX_UNITS + 1),
            "limit 4294967296 is out of range; expected 1 to 4294967295",
        ),
        (RateLimitPolicy::per_second(1).burst(0), "burst 0 is out of range"),
        (RateLimitPolicy::per_second(1).burst((1 << 32) + 1), "burst 4294967297 is out of range"),
        (RateLimitPolicy::per_second(1).fixed_window().burst(5), "burst 5 has no meaning"),
        (
            RateLimitPolicy::per(1, Duration::from_secs(i64::MAX as u64)),
            "window 9223372036854775807s is out of range",
        ),
        (RateLimitPolicy::per(1, Duration::MAX), "is out of range; expected 1µs to 366 days"),
        (RateLimitPolicy::per(1, Duration::ZERO), "window 0ns is out of range"),
        (RateLimitPolicy::per(1, YEAR + Duration::from_nanos(1)), "is out of range"),
        (RateLimitPolicy::per_second(1_000_001), "1000001 per 1s is out of range"),
        (RateLimitPolicy::per(1, YEAR).burst(101), "would take longer than 100 years"),
        (RateLimitPolicy::per(7, Duration::from_secs(7)).aligned_window(), "divides a day"),
        (RateLimitPolicy::per_hour(10_001).sliding_log(), "expected 1 to 10000"),
        (
            RateLimitPolicy::per_second(1).penalty(PenaltyLadder::after(0, YEAR)),
            "penalty strikes 0 cannot work; expected 1 or more",
        ),
        (RateLimitPolicy::per_second(1).penalty(ladder.growing_by(0)), "penalty factor 0"),
        (
            RateLimitPolicy::per_second(1).penalty(ladder.decaying_every(Duration::ZERO)),
            "penalty decay 0ns cannot work; expected 1ms to 366 days",
        ),
        (
            RateLimitPolicy::per_second(1).penalty(ladder.up_to(Duration::from_secs(59))),
            "penalty first ban 60s cannot work; expected at most the longest ban",
        ),
    ];
    for (builder, expected) in cases {
        let error = builder.clone().build().expect_err(&format!("{builder:?}")).to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        assert!(error.starts_with("policy `default`: "), "{error:?} does not name the policy");
    }
}

/// Case T02 at its root: a name that would need quoting in a header is never accepted.
#[test]
fn t02_names_that_need_quoting_are_refused() {
    for name in ["", "a b", "a\r\nb", "a\"b", "ä", "a/b", &"x".repeat(65)] {
        let error = RateLimitPolicy::per_second(1).named(name).build().unwrap_err();
        assert_eq!(error, PolicyError::Name { name: name.to_owned() });
    }
    assert!(PolicyName::new(&"x".repeat(64)).is_ok());
}

#[test]
fn the_largest_accepted_values_are_accepted() {
    assert!(RateLimitPolicy::per(1, YEAR).burst(99).build().is_ok());
    assert!(RateLimitPolicy::per_second(1_000_000).burst(MAX_UNITS).build().is_ok());
    assert!(RateLimitPolicy::per(1, Duration::from_micros(1)).build().is_ok());
    assert!(RateLimitPolicy::per_day(MAX_UNITS).sliding_window().build().is_ok());
    assert!(RateLimitPolicy::per_day(1).aligned_window().build().is_ok());
}

#[test]
fn versions_share_a_bucket_and_other_meanings_do_not() {
    let name = |builder: RateLimitPolicyBuilder| {
        let policy = builder.named("n").build().expect("valid");
        (policy.bucket_name().to_owned(), policy.bucket_digest())
    };
    let day = Duration::from_secs(86_400);
    assert_eq!(
        name(RateLimitPolicy::per_minute(100)),
        name(RateLimitPolicy::per(7, day).burst(3).shadow()),
        "a token bucket keeps its state under any rate"
    );
    assert_eq!(
        name(RateLimitPolicy::per_minute(100).fixed_window()),
        name(RateLimitPolicy::per_minute(5).fixed_window())
    );
    let all = [
        name(RateLimitPolicy::per_minute(1)),
        name(RateLimitPolicy::per_minute(1).fixed_window()),
        name(RateLimitPolicy::per_minute(1).aligned_window()),
        name(RateLimitPolicy::per_minute(1).sliding_window()),
        name(RateLimitPolicy::per_minute(1).sliding_log()),
        name(RateLimitPolicy::per_hour(1).fixed_window()),
    ];
    for (index, one) in all.iter().enumerate() {
        assert!(all[..index].iter().all(|other| other.0 != one.0 && other.1 != one.1));
    }
}

#[test]
fn a_share_divides_burst_and_rate_and_rounds_the_burst_up() {
    let policy = RateLimitPolicy::per_minute(100).build().expect("valid");
    let Algorithm::TokenBucket(share) = policy.share_of(3).algorithm().clone() else {
        panic!("a share keeps its algorithm");
    };
    assert_eq!((share.burst(), share.interval_nanos()), (34, 3 * 600_000_000));
    assert_eq!(policy.share_of(3).capacity_window(), Duration::from_millis(61_200), "34 · 1.8 s");
    assert_eq!(policy.share_of(0), policy);
    // A share of next to nothing is one unit a century, and says so.
    let century = Duration::from_nanos(MAX_TIME_TO_FULL_NANOS);
    for limit in [1, 10] {
        let share = RateLimitPolicy::per(limit, YEAR).build().expect("valid").share_of(65_535);
        let Algorithm::TokenBucket(bucket) = share.algorithm().clone() else {
            panic!("a share keeps its algorithm");
        };
        assert_eq!(bucket.time_to_full_nanos(), MAX_TIME_TO_FULL_NANOS);
        assert_eq!(share.capacity_window(), century, "{share}");
        assert_eq!((share.limit(), share.window()), (1, century));
    }
    // Rounding the burst up can nearly double the time to full, and no more.
    let share = RateLimitPolicy::per(1, YEAR).burst(99).build().expect("valid").share_of(98);
    assert_eq!(share.capacity_window(), 196 * YEAR);
    let slow = RateLimitPolicy::per(1, YEAR).build().expect("valid").share_of(u32::MAX);
    assert_eq!(slow.capacity(), 1);
    let window = RateLimitPolicy::per_minute(5).fixed_window().build().expect("valid");
    assert_eq!(window.share_of(10).capacity(), 1);
}
