//! The arithmetic, held to the figures of the promises.

use std::time::Duration;

use rate_limit_core::{
    Algorithm, BucketState, Clock, EnforceRateLimit, ManualClock, RateLimitPolicy,
    RateLimitPolicyBuilder, Timestamp, Verdict, Wait,
};

use crate::support::{SECOND, decide, each, exhaust, one, policy, simple, verdict};

const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// The pace of a client that takes one unit whenever one fits, over `requests` requests.
fn elapsed_nanos(policy: &RateLimitPolicy, requests: u64) -> u128 {
    let algorithm = policy.algorithm();
    let start = Timestamp::from_nanos(1_000_000_007);
    let (mut now, mut state) = (start, algorithm.fresh(start));
    algorithm.charge(&mut state, now, policy.capacity());
    for _ in 0..requests {
        let Wait::After(nanos) = algorithm.wait(&state, now, 1) else {
            panic!("{policy} has room at full debt");
        };
        now = now.plus_nanos(nanos);
        algorithm.bring_up_to_date(&mut state, now);
        algorithm.charge(&mut state, now, 1);
    }
    u128::from(now.nanos_since(start))
}

/// How far below the asked rate the pace is, in parts of ten thousand million.
fn missing_parts(limit: u64, window: Duration, requests: u64) -> i128 {
    let policy = policy(RateLimitPolicy::per(limit, window).burst(1));
    let actual = (elapsed_nanos(&policy, requests) * u128::from(limit)) as i128;
    let ideal = (u128::from(requests) * window.as_nanos()) as i128;
    (actual - ideal) * 10_000_000_000 / ideal
}

/// Stores drop what is as good as new first, so a bucket that owes nothing must not look like a debtor:
/// in none of the forms in which stores keep it, and at no moment of a window.
#[test]
fn what_was_given_back_is_as_good_as_new_at_once() {
    let ten = || RateLimitPolicy::per_minute(10);
    for builder in [
        ten().token_bucket(),
        ten().fixed_window(),
        ten().aligned_window(),
        ten().sliding_window(),
        ten().sliding_log(),
    ] {
        let policy = policy(builder);
        let algorithm = policy.algorithm();
        let now = Timestamp::from_nanos(617_000_000_000);
        let mut state = algorithm.fresh(now);
        let charged = algorithm.charge(&mut state, now, 4);
        assert!(algorithm.full_at(&state) > now, "{policy} owes four units");
        assert_eq!(algorithm.refund(&mut state, now, charged, 4, 4), 4);
        assert!(algorithm.full_at(&state) <= now, "{policy} owes nothing: {state:?}");
        let Some(packed) = algorithm.pack(&state) else {
            continue;
        };
        assert!(packed.full_at <= now, "{policy}: {packed:?}");
        assert_eq!(algorithm.unpack(packed), Some(state), "{policy} is read as it was written");
    }
}

/// An aligned window ends when it ends, whoever used it.
#[test]
fn an_unused_aligned_window_tells_its_end() {
    let aligned = policy(RateLimitPolicy::per_minute(10).aligned_window());
    let now = Timestamp::from_nanos(617_000_000_000);
    let state = aligned.algorithm().fresh(now);
    assert_eq!(aligned.algorithm().reset_nanos(&state, now), 43_000_000_000);
}

/// Case A02: the rates that break limiters which divide too early.
#[test]
fn a02_rates_that_do_not_divide() {
    let minute = Duration::from_secs(60);
    for (limit, window) in [(1, YEAR), (3, SECOND), (7, minute), (1_000_000, SECOND)] {
        let missing = missing_parts(limit, window, 100);
        assert!((0..=10_000).contains(&missing), "{limit} per {window:?}: {missing} of 10^10");
    }
}

/// Promise G3: the rate's error is within [-1 ppm, 0] up to 1,000 per second and within [-0.1 %, 0]
/// up to 1,000,000 per second, and every burst is exact at a frozen clock.
#[test]
fn g3_rate_error() {
    let slow = (1..=1_000).map(|limit| (limit, SECOND, 10_000));
    let per_minute = (1..=60_000).step_by(97).map(|limit| (limit, 60 * SECOND, 10_000));
    let per_year = (1..=500).map(|limit| (limit, YEAR, 10_000));
    let fast = (1_001..=1_000_000).step_by(499).map(|limit| (limit, SECOND, 10_000_000));
    let odd = [(999_999, SECOND, 10_000_000), (333_333, SECOND, 10_000_000)];
    for (limit, window, allowed) in slow.chain(per_minute).chain(per_year).chain(fast).chain(odd) {
        let missing = missing_parts(limit, window, 50);
        assert!(
            (0..=allowed).contains(&missing),
            "{limit} per {window:?} misses {missing} parts of 10^10, at most {allowed} are allowed"
        );
    }
}

#[test]
fn g3_bursts_are_exact() {
    for (limit, window) in [(1, YEAR), (3, SECOND), (7, 60 * SECOND), (999_999, SECOND)] {
        for burst in [1, 2, 3, 7, 50] {
            let clock = ManualClock::new();
            let limited = EnforceRateLimit::builder(simple(&clock)).build().expect("valid");
            let policy = policy(RateLimitPolicy::per(limit, window).burst(burst));
            assert_eq!(exhaust(&limited, &policy), burst, "{policy}");
        }
    }
}

fn algorithms() -> [fn(RateLimitPolicyBuilder) -> RateLimitPolicyBuilder; 5] {
    [
        RateLimitPolicyBuilder::token_bucket,
        RateLimitPolicyBuilder::fixed_window,
        RateLimitPolicyBuilder::aligned_window,
        RateLimitPolicyBuilder::sliding_window,
        RateLimitPolicyBuilder::sliding_log,
    ]
}

/// A small generator of its own, so that this test is not tied to that of the suite.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Promise G4: a client that waits as told is admitted, one nanosecond earlier it is not, in a
/// million cases.
#[test]
fn g4_a_million_waits_are_honest() {
    let windows =
        [Duration::from_micros(10), Duration::from_millis(7), SECOND, 24 * 3_600 * SECOND];
    let mut buckets: Vec<(RateLimitPolicy, BucketState)> = Vec::new();
    for count in algorithms() {
        for window in windows {
            for limit in [1, 3, 10] {
                let Ok(policy) = count(RateLimitPolicy::per(limit, window)).build() else {
                    continue;
                };
                let state = policy.algorithm().fresh(Timestamp::ORIGIN);
                buckets.push((policy, state));
            }
        }
    }
    let (mut now, mut seed, mut cases) = (Timestamp::from_nanos(1), 88_172_645_463_325_252, 0);
    while cases < 1_000_000 {
        let length = buckets.len() as u64;
        let (policy, state) = &mut buckets[(random(&mut seed) % length) as usize];
        let algorithm = policy.algorithm();
        now = now.plus_nanos(random(&mut seed) % 5_000_000);
        algorithm.bring_up_to_date(state, now);
        let units = 1 + random(&mut seed) % policy.capacity();
        match algorithm.wait(state, now, units) {
            Wait::Now => drop(algorithm.charge(state, now, units)),
            Wait::After(nanos) => {
                cases += 1;
                let early = now.plus_nanos(nanos - 1);
                assert_eq!(wait_at(algorithm, state, early, units), Wait::After(1), "{policy}");
                let told = now.plus_nanos(nanos);
                assert_eq!(wait_at(algorithm, state, told, units), Wait::Now, "{policy}");
                if cases % 4 == 0 {
                    // Sometimes the client does as told, so that states of all ages occur.
                    now = told;
                }
            }
            Wait::Never => panic!("{policy}: {units} are within the capacity"),
        }
    }
}

fn wait_at(algorithm: &Algorithm, state: &BucketState, now: Timestamp, units: u64) -> Wait {
    let mut state = state.clone();
    algorithm.bring_up_to_date(&mut state, now);
    algorithm.wait(&state, now, units)
}

/// Case A04: a cost of zero peeks, a cost above the burst is denied without a wait.
#[test]
fn a04_cost_zero_and_cost_above_the_burst() {
    let clock = ManualClock::new();
    let limit = EnforceRateLimit::builder(simple(&clock)).build().expect("valid");
    let policy = policy(RateLimitPolicy::per_minute(5));
    let mut peek = decide(&limit, one(&policy, 0));
    assert_eq!(peek.decision.verdict(), Verdict::Allow);
    assert!(peek.take_receipt().is_none(), "nothing was charged");
    let never = decide(&limit, one(&policy, 6)).decision;
    assert_eq!((never.verdict(), never.wait()), (Verdict::Deny, Wait::Never));
    assert_eq!(never.wait().duration(), None, "hence no Retry-After");
    assert_eq!(exhaust(&limit, &policy), 5);
    assert_eq!(verdict(&limit, one(&policy, 0)), Verdict::Allow, "also of an empty bucket");
}

/// Case A08: denials leave the next admission where it was.
#[test]
fn a08_denials_postpone_nothing() {
    let clock = ManualClock::new();
    let limit = EnforceRateLimit::builder(simple(&clock)).build().expect("valid");
    let policy = policy(RateLimitPolicy::per_minute(5));
    exhaust(&limit, &policy);
    for denials in 0..1_000_u32 {
        let told = decide(&limit, one(&policy, 1)).decision.wait().duration().expect("a wait");
        assert_eq!(told, 12 * SECOND - denials * Duration::from_millis(10));
        clock.advance(Duration::from_millis(10));
    }
    clock.advance(2 * SECOND - Duration::from_nanos(1));
    assert_eq!(verdict(&limit, one(&policy, 1)), Verdict::Deny);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(verdict(&limit, one(&policy, 1)), Verdict::Allow);
}

/// Case A09: exactly as told is admitted, one tick less is denied.
#[test]
fn a09_exactly_as_told() {
    for count in algorithms() {
        let clock = ManualClock::new();
        let limit = EnforceRateLimit::builder(simple(&clock)).build().expect("valid");
        let policy = policy(count(RateLimitPolicy::per_minute(5)));
        clock.advance(7 * SECOND);
        for units in [1, 5, 2] {
            exhaust(&limit, &policy);
            let told = decide(&limit, one(&policy, units)).decision.wait();
            let told = told.duration().expect("a wait");
            clock.advance(told - Duration::from_nanos(1));
            assert_eq!(verdict(&limit, one(&policy, units)), Verdict::Deny, "{policy}");
            clock.advance(Duration::from_nanos(1));
            assert_eq!(verdict(&limit, one(&policy, units)), Verdict::Allow, "{policy}");
        }
    }
}

/// Case A13: at the boundary of two windows each algorithm keeps its stated bound, and remaining
/// stays between zero and the limit.
#[test]
fn a13_boundaries_of_windows() {
    let bounds = [
        (RateLimitPolicyBuilder::fixed_window as fn(_) -> _, 20),
        (RateLimitPolicyBuilder::aligned_window, 20),
        (RateLimitPolicyBuilder::sliding_window, 19),
        (RateLimitPolicyBuilder::sliding_log, 10),
    ];
    for (count, bound) in bounds {
        // Whenever the client begins within the minute, and however it spreads its requests.
        for offset in 0..60 {
            let clock = ManualClock::new();
            let limit = EnforceRateLimit::builder(simple(&clock)).build().expect("valid");
            let policy = policy(count(RateLimitPolicy::per_minute(10)));
            let mut admitted: Vec<Timestamp> = Vec::new();
            verdict(&limit, one(&policy, 1));
            admitted.push(clock.now());
            clock.advance(offset * SECOND);
            for _ in 0..300 {
                let decision = decide(&limit, one(&policy, 1)).decision;
                let remaining = decision.closest().expect("a policy").outcome().remaining;
                assert!(remaining <= 10, "{policy}: {remaining} left");
                if decision.is_allowed() {
                    admitted.push(clock.now());
                } else {
                    clock.advance(Duration::from_millis(500));
                }
            }
            let minute = 60_000_000_000;
            for begin in &admitted {
                let within = |at: &&Timestamp| *at >= begin && at.nanos_since(*begin) < minute;
                let units = admitted.iter().filter(within).count();
                assert!(units <= bound, "{policy}: {units} within a minute, of {bound}");
            }
        }
    }
}

/// Case A14: when the day is exhausted the second is not charged, and the answer is about the day.
#[test]
fn a14_an_exhausted_day_charges_no_second() {
    let clock = ManualClock::new();
    let limit = EnforceRateLimit::builder(simple(&clock)).build().expect("valid");
    let second = policy(RateLimitPolicy::per_second(10).named("second"));
    let day = policy(RateLimitPolicy::per_day(3).named("day").aligned_window());
    let both = || each([&second, &day], 1);
    for _ in 0..3 {
        assert_eq!(verdict(&limit, both()), Verdict::Allow);
    }
    clock.advance(SECOND);
    for _ in 0..5 {
        let decision = decide(&limit, both()).decision;
        assert_eq!(decision.verdict(), Verdict::Deny);
        let closest = decision.closest().expect("a policy");
        assert_eq!(closest.policy().name().as_str(), "day");
        assert_eq!(decision.wait().duration(), Some(Duration::from_secs(86_399)));
        let second = decision.enforced().next().expect("the first policy");
        assert_eq!((second.outcome().remaining, second.outcome().charged), (10, None));
    }
}
