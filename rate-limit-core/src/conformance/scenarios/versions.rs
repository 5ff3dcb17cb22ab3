//! Changing limits forgives nothing.

use std::time::Duration;

use super::algorithms::fill;
use super::{SECOND, Scenario};
use crate::algorithm::Wait;
use crate::conformance::trial::{Checked, Policy, equal, policy, user};
use crate::policy::{RateLimitPolicy, RateLimitPolicyBuilder};

fn per_minute(
    limit: u64,
    count: fn(RateLimitPolicyBuilder) -> RateLimitPolicyBuilder,
) -> Checked<Policy> {
    policy(count(RateLimitPolicy::per_minute(limit)))
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "versions.a_token_bucket_keeps_the_used_share",
        promise: "token bucket: 60 of 100 used, then limit 200: 80 left; limit 50: 20 left",
        body: |trial| {
            let (store, who) = (trial.store(), user("steady")?);
            let bucket = RateLimitPolicyBuilder::token_bucket;
            store.admitted(&who, &per_minute(100, bucket)?, 60)?;
            equal("left of 200", store.remaining(&who, &per_minute(200, bucket)?)?, 80)?;
            equal("left of 50", store.remaining(&who, &per_minute(50, bucket)?)?, 20)?;
            equal("left of 100", store.remaining(&who, &per_minute(100, bucket)?)?, 40)
        },
    },
    Scenario {
        name: "versions.a_token_bucket_keeps_what_it_owes_in_time",
        promise: "token bucket: a debt of a minute is a minute under every version, so 10 of 10 per \
                  minute are 1 of 10 per hour, and 1 of 10 per hour is all of 10 per minute",
        body: |trial| {
            let (store, who) = (trial.store(), user("steady")?);
            let minute = policy(RateLimitPolicy::per_minute(10))?;
            let hour = policy(RateLimitPolicy::per_hour(10))?;
            store.admitted(&who, &minute, 10)?;
            let seen = store.standing(&who, &hour)?;
            equal("left of 10 per hour", seen.remaining, 9)?;
            equal("reset", seen.reset_nanos, 60 * SECOND)?;
            store.denied(&who, &minute, 1)?;

            let other = user("steady too")?;
            store.admitted(&other, &hour, 1)?;
            let denied = store.denied(&other, &minute, 1)?;
            equal("left of 10 per minute", denied.remaining, 0)?;
            equal("wait", denied.wait, Wait::After(6 * SECOND))
        },
    },
    Scenario {
        name: "versions.windows_keep_the_used_count",
        promise: "windows and log: 60 used, then limit 200: 140 left; limit 50: 0 left",
        body: |trial| {
            for count in [
                RateLimitPolicyBuilder::fixed_window,
                RateLimitPolicyBuilder::aligned_window,
                RateLimitPolicyBuilder::sliding_window,
                RateLimitPolicyBuilder::sliding_log,
            ] {
                let (store, who) = (trial.store(), user("steady")?);
                store.advance_nanos(5 * SECOND);
                store.admitted(&who, &per_minute(100, count)?, 60)?;
                equal("left of 200", store.remaining(&who, &per_minute(200, count)?)?, 140)?;
                let tighter = per_minute(50, count)?;
                equal("left of 50", store.denied(&who, &tighter, 1)?.remaining, 0)?;
                equal("left of 100", store.remaining(&who, &per_minute(100, count)?)?, 40)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "versions.the_window_keeps_its_beginning",
        promise: "windows keep their beginning when the limit changes",
        body: |trial| {
            let (store, who) = (trial.store(), user("steady")?);
            let window = RateLimitPolicyBuilder::fixed_window;
            store.admitted(&who, &per_minute(5, window)?, 5)?;
            store.advance_nanos(20 * SECOND);
            let wider = store.admitted(&who, &per_minute(8, window)?, 3)?.outcome;
            equal("the window's end", wider.reset_nanos, 40 * SECOND)?;
            let denied = store.denied(&who, &per_minute(3, window)?, 1)?;
            equal("wait under a tighter limit", denied.wait, Wait::After(40 * SECOND))
        },
    },
    Scenario {
        name: "versions.side_by_side",
        promise: "state means the same under every version, so versions may run side by side",
        body: |trial| {
            let (store, who) = (trial.store(), user("in a rollout")?);
            let old = policy(RateLimitPolicy::per_minute(10))?;
            let new = policy(RateLimitPolicy::per_minute(20))?;
            // One unit of the old version is worth two of the new one.
            for left in [9, 8, 7, 6] {
                equal("left", store.admitted(&who, &old, 1)?.outcome.remaining, left)?;
                equal("left of the new", store.remaining(&who, &new)?, 2 * left)?;
            }
            for _ in 0..4 {
                store.admitted(&who, &new, 2)?;
                store.admitted(&who, &old, 1)?;
                store.advance_nanos(6 * SECOND);
            }
            equal("left of the old", store.remaining(&who, &old)?, 2)?;
            equal("left of the new", fill(&store, &who, &new)?, 4)?;
            store.denied(&who, &old, 1)?;
            Ok(())
        },
    },
    Scenario {
        name: "versions.shortened_limits_lock_nobody_out",
        promise: "a debt further in the future than the new limit allows is brought back to it",
        body: |trial| {
            let (store, who) = (trial.store(), user("relieved")?);
            let slow = policy(RateLimitPolicy::per_hour(10))?;
            let fast = policy(RateLimitPolicy::per_minute(10))?;
            store.admitted(&who, &slow, 10)?;
            let denied = store.denied(&who, &fast, 1)?;
            equal("wait", denied.wait, Wait::After(6 * SECOND))?;
            store.advance_nanos(6 * SECOND);
            store.admitted(&who, &fast, 1)?;
            Ok(())
        },
    },
    Scenario {
        name: "versions.a_shadow_is_a_version_too",
        promise: "a policy keeps its bucket when it goes from shadow to enforced",
        body: |trial| {
            let (store, who) = (trial.store(), user("tried out")?);
            let shadow = policy(RateLimitPolicy::per_minute(10).shadow())?;
            let enforced = policy(RateLimitPolicy::per_minute(10))?;
            store.admitted(&who, &shadow, 7)?;
            equal("left", store.remaining(&who, &enforced)?, 3)?;
            store.denied(&who, &enforced, 4)?;
            Ok(())
        },
    },
    Scenario {
        name: "versions.another_algorithm_is_another_bucket",
        promise: "a changed algorithm, or window length of a counting policy, is a new bucket",
        body: |trial| {
            let (store, who) = (trial.store(), user("changed")?);
            let all = [
                policy(RateLimitPolicy::per_minute(10))?,
                policy(RateLimitPolicy::per_minute(10).fixed_window())?,
                policy(RateLimitPolicy::per_minute(10).aligned_window())?,
                policy(RateLimitPolicy::per_minute(10).sliding_window())?,
                policy(RateLimitPolicy::per_minute(10).sliding_log())?,
                policy(RateLimitPolicy::per(10, Duration::from_secs(61)).fixed_window())?,
                policy(RateLimitPolicy::per(10, Duration::from_secs(61)).sliding_window())?,
                policy(RateLimitPolicy::per(10, Duration::from_secs(61)).sliding_log())?,
            ];
            for one in &all {
                equal("left of a new bucket", store.admitted(&who, one, 6)?.outcome.remaining, 4)?;
            }
            for one in &all {
                equal("left afterwards", store.remaining(&who, one)?, 4)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "versions.another_name_is_another_bucket",
        promise: "the name of a policy is part of the key of its buckets",
        body: |trial| {
            let (store, who) = (trial.store(), user("renamed")?);
            for name in ["a", "b", "A", "a.b", "a:b", "a-b", "a_b"] {
                let named = policy(RateLimitPolicy::per_minute(1).named(name))?;
                store.admitted(&who, &named, 1)?;
                store.denied(&who, &named, 1)?;
            }
            Ok(())
        },
    },
];
