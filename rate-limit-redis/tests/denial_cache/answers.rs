//! What is answered from memory, what is asked, and what is told.

use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::{
    Mode, Outcome, PenaltyLadder, PolicyVerdict, RateLimitPolicy, RateLimitPolicyBuilder, Wait,
};

use crate::support::{Bed, Policy, SECOND, charge, policy};

fn exhausted(bed: &Bed, policy: &Policy) -> Outcome {
    bed.take(policy, policy.capacity());
    bed.take(policy, 1)
}

/// Each algorithm with a capacity of ten and a wait of several seconds once that is taken.
fn algorithms() -> [RateLimitPolicyBuilder; 5] {
    let ten = || RateLimitPolicy::per_minute(10);
    [
        ten(),
        ten().fixed_window(),
        ten().aligned_window(),
        ten().sliding_window(),
        ten().sliding_log(),
    ]
}

#[test]
fn a_denied_key_costs_the_store_one_call_per_second() {
    for builder in algorithms() {
        let (bed, policy) = (Bed::new(), policy(builder));
        exhausted(&bed, &policy);
        let asked = bed.asked_by(|| {
            // Five seconds, a thousand requests in each.
            for _ in 0..5_000 {
                assert!(bed.take(&policy, 1).is_violated(), "{policy}");
                bed.advance_nanos(SECOND / 1_000);
            }
        });
        assert!((4..=5).contains(&asked), "{policy}: {asked} calls");
    }
}

#[test]
fn waits_and_resets_shrink_to_the_nanosecond_and_the_client_is_admitted_in_time() {
    for builder in algorithms() {
        let (bed, policy) = (Bed::new(), policy(builder));
        let first = exhausted(&bed, &policy);
        let Wait::After(nanos) = first.wait else { panic!("{first:?}") };
        bed.advance_nanos(123_456_789);
        let asked = bed.asked_by(|| {
            let later = bed.take(&policy, 1);
            assert_eq!(later.wait, Wait::After(nanos - 123_456_789), "{policy}");
            assert_eq!(later.reset_nanos, first.reset_nanos - 123_456_789, "{policy}");
            assert_eq!((later.verdict, later.charged), (PolicyVerdict::Deny, None));
        });
        assert_eq!(asked, 0);
        bed.advance_nanos(nanos - 123_456_789 - 1);
        assert!(bed.take(&policy, 1).is_violated(), "{policy}");
        bed.advance_nanos(1);
        assert!(!bed.take(&policy, 1).is_violated(), "{policy}");
    }
}

#[test]
fn a_short_wait_ends_the_memory() {
    let (bed, policy) = (Bed::new(), policy(RateLimitPolicy::per_second(10).burst(1)));
    exhausted(&bed, &policy);
    bed.advance_nanos(SECOND / 10);
    assert!(!bed.take(&policy, 1).is_violated());
}

#[test]
fn a_smaller_cost_asks_and_a_larger_one_is_told_its_own_wait() {
    let (bed, tokens) = (Bed::new(), policy(RateLimitPolicy::per_minute(60).burst(10)));
    bed.take(&tokens, 8);
    assert_eq!(bed.take(&tokens, 5).wait, Wait::After(3 * SECOND));
    let asked = bed.asked_by(|| {
        assert_eq!(bed.take(&tokens, 5).wait, Wait::After(3 * SECOND));
        assert_eq!(bed.take(&tokens, 9).wait, Wait::After(7 * SECOND));
        assert_eq!(bed.take(&tokens, 11).wait, Wait::Never);
    });
    assert_eq!(asked, 0);
    let asked = bed.asked_by(|| assert_eq!(bed.take(&tokens, 3).wait, Wait::After(SECOND)));
    assert_eq!(asked, 1);
    // The least cost is remembered, and the larger ones with it.
    let asked = bed.asked_by(|| {
        assert_eq!(bed.take(&tokens, 3).wait, Wait::After(SECOND));
        assert_eq!(bed.take(&tokens, 5).wait, Wait::After(3 * SECOND));
    });
    assert_eq!(asked, 0);
    assert_eq!(bed.asked_by(|| assert!(!bed.take(&tokens, 2).is_violated())), 1);
}

#[test]
fn a_larger_cost_asks_where_its_wait_is_not_known() {
    for (builder, expected) in [
        (RateLimitPolicy::per_minute(10).fixed_window(), 0),
        (RateLimitPolicy::per_minute(10).sliding_window(), 1),
        (RateLimitPolicy::per_minute(10).sliding_log(), 1),
    ] {
        let (bed, policy) = (Bed::new(), policy(builder));
        exhausted(&bed, &policy);
        assert_eq!(bed.asked_by(|| assert!(bed.take(&policy, 2).is_violated())), expected);
        // What can never pass is known without asking.
        assert_eq!(bed.asked_by(|| assert_eq!(bed.take(&policy, 11).wait, Wait::Never)), 0);
    }
}

#[test]
fn the_tokens_that_come_back_meanwhile_are_told() {
    let (bed, policy) = (Bed::new(), policy(RateLimitPolicy::per_second(10)));
    bed.take(&policy, 9);
    assert_eq!(bed.take(&policy, 8).remaining, 1);
    bed.advance_nanos(SECOND / 4);
    let asked = bed.asked_by(|| assert_eq!(bed.take(&policy, 8).remaining, 3));
    assert_eq!(asked, 0);
}

#[test]
fn all_policies_of_a_request_are_reported() {
    let bed = Bed::new();
    let tight = policy(RateLimitPolicy::per_minute(1).named("tight"));
    let wide = policy(RateLimitPolicy::per_minute(100).named("wide"));
    let both = || [charge(&tight, 1), charge(&wide, 1)];
    bed.ask(both());
    let first = bed.ask(both());
    let again = bed.asked_by(|| {
        let outcomes = bed.ask(both());
        assert!(outcomes.iter().eq(first.iter()), "{outcomes:?}");
        assert_eq!(outcomes.get(1).unwrap().remaining, 99, "nothing was charged");
    });
    assert_eq!(again, 0);
    // A policy that nobody has asked about beside the others.
    let third = policy(RateLimitPolicy::per_minute(5).named("third"));
    let three = || [charge(&tight, 1), charge(&wide, 1), charge(&third, 1)];
    assert_eq!(bed.asked_by(|| _ = bed.ask(three())), 1);
    assert_eq!(bed.asked_by(|| _ = bed.ask(three())), 0);
    // What does not deny by itself is asked, whatever was remembered of it.
    assert_eq!(bed.asked_by(|| assert!(!bed.take(&wide, 1).is_violated())), 1);
}

#[test]
fn a_bucket_that_may_not_have_the_units_is_asked() {
    let bed = Bed::new();
    let tight = policy(RateLimitPolicy::per_minute(1).named("tight"));
    let wide = policy(RateLimitPolicy::per_minute(10).named("wide"));
    bed.ask([charge(&tight, 1), charge(&wide, 1)]);
    bed.ask([charge(&tight, 1), charge(&wide, 1)]);
    let cost = |units| bed.asked_by(|| drop(bed.ask([charge(&tight, 1), charge(&wide, units)])));
    assert_eq!(cost(9), 0, "nine of ten are left");
    assert_eq!(cost(10), 1, "ten would be denied as well, for a time that nobody knows");
}

#[test]
fn a_shadow_policy_never_denies() {
    let bed = Bed::new();
    let watched = policy(RateLimitPolicy::per_minute(1).named("watched").shadow());
    let enforced = policy(RateLimitPolicy::per_minute(2).named("enforced"));
    bed.take(&watched, 1);
    assert_eq!(bed.asked_by(|| _ = bed.take(&watched, 1)), 1);
    assert_eq!(bed.asked_by(|| _ = bed.take(&watched, 1)), 1, "it decides nothing");
    // Beside one that denies, it is reported.
    let both = || [charge(&watched, 1), charge(&enforced, 1)];
    (0..2).for_each(|_| assert!(!bed.ask(both()).get(1).unwrap().is_violated()));
    let first = bed.ask(both());
    assert_eq!(bed.asked_by(|| assert!(bed.ask(both()).iter().eq(first.iter()))), 0);
    // The same bucket under the same policy, enforced: another version.
    let now_enforced: Policy = Arc::new(watched.in_mode(Mode::Enforce));
    assert_eq!(bed.asked_by(|| assert!(bed.take(&now_enforced, 1).is_violated())), 1);
}

#[test]
fn new_limits_apply_at_once() {
    let (bed, old) = (Bed::new(), policy(RateLimitPolicy::per_minute(1).fixed_window()));
    exhausted(&bed, &old);
    let raised = policy(RateLimitPolicy::per_minute(2).fixed_window());
    assert!(!bed.take(&raised, 1).is_violated());
    assert!(bed.take(&raised, 1).is_violated());
    // An equal policy that was built anew is no other version.
    let equal = policy(RateLimitPolicy::per_minute(2).fixed_window());
    assert_eq!(bed.asked_by(|| assert!(bed.take(&equal, 1).is_violated())), 0);
}

#[test]
fn every_strike_before_a_ban_reaches_the_store_and_the_ban_does_not() {
    let ladder = PenaltyLadder::after(5, Duration::from_secs(60));
    let policy = policy(RateLimitPolicy::per_second(1).penalty(ladder));
    let bed = Bed::new();
    bed.take(&policy, 1);
    let asked = bed.asked_by(|| {
        for _ in 0..4 {
            assert_eq!(bed.take(&policy, 1).verdict, PolicyVerdict::Deny);
        }
        assert_eq!(bed.take(&policy, 1).verdict, PolicyVerdict::Ban, "after five strikes");
    });
    assert_eq!(asked, 5);
    assert_eq!(bed.asked_by(|| _ = bed.take(&policy, 1)), 0);
    assert_eq!(bed.take(&policy, 1).verdict, PolicyVerdict::Ban);
    // A ban concerns every cost, and only the store knows what lies behind it.
    assert_eq!(bed.asked_by(|| _ = bed.take(&policy, 0)), 1);
}

#[test]
fn a_ban_that_may_end_before_the_told_wait_is_asked() {
    let ladder = PenaltyLadder::after(1, Duration::from_secs(60)).first_ban(Duration::from_secs(1));
    let policy = policy(RateLimitPolicy::per_minute(1).penalty(ladder));
    let bed = Bed::new();
    bed.take(&policy, 1);
    assert_eq!(bed.take(&policy, 1).wait, Wait::After(60 * SECOND), "that of the bucket");
    assert_eq!(bed.asked_by(|| assert_eq!(bed.take(&policy, 1).verdict, PolicyVerdict::Ban)), 1);
}

#[test]
fn a_policy_that_is_settled_is_always_asked() {
    let (bed, policy) = (Bed::new(), policy(RateLimitPolicy::per_minute(1)));
    let taken = bed.take(&policy, 1);
    assert!(bed.take(&policy, 1).is_violated());
    assert_eq!(bed.asked_by(|| _ = bed.take(&policy, 1)), 0, "nobody has settled yet");
    bed.refund(&policy, &taken);
    assert!(!bed.take(&policy, 1).is_violated(), "the unit is back at once");
    for _ in 0..3 {
        assert_eq!(bed.asked_by(|| assert!(bed.take(&policy, 1).is_violated())), 1);
    }
}

#[test]
fn a_clock_that_is_set_back_ends_the_memory() {
    let (bed, policy) = (Bed::new(), policy(RateLimitPolicy::per_minute(1)));
    exhausted(&bed, &policy);
    bed.clock.step_back(Duration::from_nanos(1));
    assert_eq!(bed.asked_by(|| _ = bed.take(&policy, 1)), 1);
}

#[test]
fn forgetting_a_bucket_asks_again() {
    let (bed, policy) = (Bed::new(), policy(RateLimitPolicy::per_minute(1)));
    exhausted(&bed, &policy);
    bed.cache.forget(charge(&policy, 1).identity(), &policy);
    assert_eq!(bed.asked_by(|| _ = bed.take(&policy, 1)), 1);
    assert_eq!(bed.asked_by(|| _ = bed.take(&policy, 1)), 0);
}
