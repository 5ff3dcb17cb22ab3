//! Never too many, nor too few: each algorithm's bound in any interval.

use super::algorithms::fill;
use super::{SECOND, Scenario};
use crate::algorithm::Wait;
use crate::conformance::trial::{ensure, equal, policy, user};
use crate::policy::RateLimitPolicy;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "bounds.token_bucket_is_burst_plus_rate",
        promise: "token bucket: at most burst + floor(rate · t) in any interval, and no less",
        body: |trial| {
            let (store, who) = (trial.store(), user("saturating")?);
            let steady = policy(RateLimitPolicy::per_minute(7).burst(5))?;
            let interval = (60 * SECOND).div_ceil(7);
            equal("burst at one instant", fill(&store, &who, &steady)?, 5)?;
            for _ in 0..200 {
                // Four steps per interval; the last one ends exactly on it.
                for step in [interval / 4, interval / 4, interval / 4 - 1] {
                    store.advance_nanos(step);
                    store.denied(&who, &steady, 1)?;
                }
                store.advance_nanos(interval - (interval / 4 * 3 - 1));
                store.admitted(&who, &steady, 1)?;
                store.denied(&who, &steady, 1)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "bounds.burst_of_one",
        promise: "a burst of one admits one request per interval, however long nobody came",
        body: |trial| {
            let (store, who) = (trial.store(), user("single file")?);
            let single = policy(RateLimitPolicy::per_second(4).burst(1))?;
            for _ in 0..5 {
                store.admitted(&who, &single, 1)?;
                let denied = store.denied(&who, &single, 1)?;
                equal("wait", denied.wait, Wait::After(SECOND / 4))?;
                store.advance_nanos(SECOND / 4 - 1);
                store.denied(&who, &single, 1)?;
                store.advance_nanos(1);
            }
            store.advance_nanos(3_600 * SECOND);
            equal("after an hour", fill(&store, &who, &single)?, 1)
        },
    },
    Scenario {
        name: "bounds.idleness_saves_one_burst",
        promise: "a pause refills the bucket up to its burst, not beyond",
        body: |trial| {
            let (store, who) = (trial.store(), user("idle")?);
            let bursty = policy(RateLimitPolicy::per_second(10).burst(20))?;
            equal("first burst", fill(&store, &who, &bursty)?, 20)?;
            // One nanosecond short of the time in which two bursts are refilled.
            store.advance_nanos(4 * SECOND - 1);
            equal("after a pause", fill(&store, &who, &bursty)?, 20)?;
            store.advance_nanos(2 * SECOND - 1);
            equal("one nanosecond before full", fill(&store, &who, &bursty)?, 19)
        },
    },
    Scenario {
        name: "bounds.fixed_window_is_twice_the_limit",
        promise: "fixed window: limit per window that begins with the first request, hence at most \
                  2 · limit in one window's length",
        body: |trial| {
            let (store, who) = (trial.store(), user("window")?);
            let window = policy(RateLimitPolicy::per_minute(5).fixed_window())?;
            store.advance_nanos(17 * SECOND);
            store.admitted(&who, &window, 1)?;
            store.advance_nanos(60 * SECOND - 1);
            equal("end of the first window", fill(&store, &who, &window)?, 4)?;
            store.advance_nanos(1);
            equal("the second window", fill(&store, &who, &window)?, 5)?;
            store.advance_nanos(60 * SECOND - 1);
            equal("end of the second window", fill(&store, &who, &window)?, 0)
        },
    },
    Scenario {
        name: "bounds.sliding_window_weighs_the_previous_window",
        promise: "sliding window: usage = current + ceil(previous · (window − elapsed) / window), \
                  less than 2 · limit in one window's length",
        body: |trial| {
            let (store, who) = (trial.store(), user("sliding")?);
            let sliding = policy(
                RateLimitPolicy::per(10, std::time::Duration::from_secs(10)).sliding_window(),
            )?;
            equal("first window", fill(&store, &who, &sliding)?, 10)?;
            store.advance_nanos(10 * SECOND);
            equal("all of the previous window counts", fill(&store, &who, &sliding)?, 0)?;
            store.advance_nanos(SECOND - 1);
            equal("just before a tenth has slid out", fill(&store, &who, &sliding)?, 0)?;
            store.advance_nanos(1);
            equal("a tenth has slid out", fill(&store, &who, &sliding)?, 1)?;
            store.advance_nanos(4 * SECOND);
            equal("half has slid out", fill(&store, &who, &sliding)?, 4)?;
            store.advance_nanos(5 * SECOND);
            equal("the window after", fill(&store, &who, &sliding)?, 5)?;
            store.advance_nanos(20 * SECOND);
            equal("two windows later", fill(&store, &who, &sliding)?, 10)
        },
    },
    Scenario {
        name: "bounds.sliding_log_is_exact",
        promise: "sliding log: at most limit in any interval of one window's length",
        body: |trial| {
            let (store, who) = (trial.store(), user("log")?);
            let log = policy(RateLimitPolicy::per_minute(6).sliding_log())?;
            let mut admitted = Vec::new();
            // Uneven gaps, so that charges expire one by one; a try every second between them.
            for second in 0..400_u64 {
                store.advance_nanos(SECOND);
                if second % 7 < 4 && !store.take(&who, &log, 1 + second % 2)?.is_violated() {
                    admitted.push((second, 1 + second % 2));
                }
            }
            for (begin, _) in &admitted {
                let window = admitted.iter().filter(|(at, _)| (*begin..begin + 60).contains(at));
                let units: u64 = window.map(|(_, units)| units).sum();
                ensure!(units <= 6, "{units} units within a minute from second {begin}");
            }
            let total: u64 = admitted.iter().map(|(_, units)| units).sum();
            ensure!(total >= 6 * 6, "only {total} units in 400 seconds");
            Ok(())
        },
    },
    Scenario {
        name: "bounds.keys_have_buckets_of_their_own",
        promise: "a bucket belongs to one identity and one policy",
        body: |trial| {
            let store = trial.store();
            let one = policy(RateLimitPolicy::per_minute(1).named("one"))?;
            let other = policy(RateLimitPolicy::per_minute(1).named("other"))?;
            for name in ["alice", "bob"] {
                store.admitted(&user(name)?, &one, 1)?;
                store.admitted(&user(name)?, &other, 1)?;
            }
            for name in ["alice", "bob"] {
                store.denied(&user(name)?, &one, 1)?;
                store.denied(&user(name)?, &other, 1)?;
            }
            Ok(())
        },
    },
];
