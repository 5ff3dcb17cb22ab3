//! What a late refund gives back under each algorithm.

use std::time::Duration;

use super::{SECOND, Scenario};
use crate::algorithm::Wait;
use crate::conformance::trial::{equal, policy, user};
use crate::policy::RateLimitPolicy;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "settle.time_pays_for_a_charge_from_its_moment",
        promise: "token bucket: a refund of n units gives back min(units, what is unpaid of the \
                  charge since its moment, what the bucket owes), partly paid units counting whole \
                  in the report",
        body: |trial| {
            // One token every six seconds.
            let bucket = policy(RateLimitPolicy::per_minute(10))?;
            let (store, who) = (trial.store(), user("late")?);
            let taken = store.admitted(&who, &bucket, 3)?;
            store.advance_nanos(13 * SECOND);
            equal("returned of five seconds' worth", store.refund(&taken, 3)?, 1)?;
            equal("reset", store.standing(&who, &bucket)?.reset_nanos, 0)?;

            // Later charges do not make an earlier one less paid.
            let store = trial.store();
            let early = store.admitted(&who, &bucket, 4)?;
            store.advance_nanos(12 * SECOND);
            let later = store.admitted(&who, &bucket, 8)?;
            equal("returned of the early one", store.refund(&early, 4)?, 2)?;
            equal("left", store.remaining(&who, &bucket)?, 2)?;
            equal("returned of the later one", store.refund(&later, 8)?, 8)?;
            equal("left", store.remaining(&who, &bucket)?, 10)?;

            // What was asked bounds it as well.
            let store = trial.store();
            let taken = store.admitted(&who, &bucket, 10)?;
            store.advance_nanos(6 * SECOND);
            equal("returned of two", store.refund(&taken, 2)?, 2)?;
            equal("reset", store.standing(&who, &bucket)?.reset_nanos, 42 * SECOND)
        },
    },
    Scenario {
        name: "settle.a_fixed_window_while_it_is_open",
        promise: "fixed window: a refund gives back only while the charged window is open",
        body: |trial| {
            let (store, who) = (trial.store(), user("late")?);
            for window in [
                policy(RateLimitPolicy::per_minute(10).named("first").fixed_window())?,
                policy(RateLimitPolicy::per_minute(10).named("aligned").aligned_window())?,
            ] {
                let taken = store.admitted(&who, &window, 5)?;
                let other = store.admitted(&who, &window, 5)?;
                store.advance_nanos(60 * SECOND - 1);
                equal("returned while open", store.refund(&taken, 5)?, 5)?;
                store.advance_nanos(1);
                store.admitted(&who, &window, 5)?;
                equal("returned when closed", store.refund(&other, 5)?, 0)?;
                equal("left", store.remaining(&who, &window)?, 5)?;
                store.advance_nanos(60 * SECOND);
            }
            Ok(())
        },
    },
    Scenario {
        name: "settle.an_empty_window_begins_anew",
        promise: "a window of which everything was given back is as good as a fresh one",
        body: |trial| {
            let (store, who) = (trial.store(), user("starting over")?);
            let window = policy(RateLimitPolicy::per_minute(10).fixed_window())?;
            let taken = store.admitted(&who, &window, 5)?;
            store.advance_nanos(40 * SECOND);
            store.refund(&taken, 5)?;
            equal("reset", store.standing(&who, &window)?.reset_nanos, 0)?;
            let first = store.admitted(&who, &window, 1)?.outcome;
            equal("the window's end", first.reset_nanos, 60 * SECOND)
        },
    },
    Scenario {
        name: "settle.a_sliding_window_from_the_charged_one",
        promise: "sliding window: a refund is taken from the charged window's count, and weighs as \
                  much as that window does",
        body: |trial| {
            let (store, who) = (trial.store(), user("late")?);
            let sliding = policy(RateLimitPolicy::per_minute(10).sliding_window())?;
            let early = store.admitted(&who, &sliding, 8)?;
            store.advance_nanos(90 * SECOND);
            let later = store.admitted(&who, &sliding, 5)?;
            equal("left: half of 8 and 5 count", store.remaining(&who, &sliding)?, 1)?;
            equal("returned of the early one", store.refund(&early, 6)?, 6)?;
            equal("left: half of 2 and 5 count", store.remaining(&who, &sliding)?, 4)?;
            equal("returned of the later one", store.refund(&later, 5)?, 5)?;
            equal("left: half of 2 counts", store.remaining(&who, &sliding)?, 9)?;
            store.advance_nanos(60 * SECOND);
            equal("returned two windows later", store.refund(&early, 2)?, 0)
        },
    },
    Scenario {
        name: "settle.a_log_its_own_entry",
        promise: "sliding log: a refund removes the charge's own entry",
        body: |trial| {
            let (store, who) = (trial.store(), user("late")?);
            let log = policy(RateLimitPolicy::per_minute(10).sliding_log())?;
            store.admitted(&who, &log, 4)?;
            store.advance_nanos(10 * SECOND);
            let middle = store.admitted(&who, &log, 3)?;
            store.advance_nanos(10 * SECOND);
            store.admitted(&who, &log, 3)?;
            equal("returned", store.refund(&middle, 3)?, 3)?;
            equal("left", store.remaining(&who, &log)?, 3)?;
            // The first entry still expires first, the last one last.
            equal("wait", store.denied(&who, &log, 7)?.wait, Wait::After(40 * SECOND))?;
            equal("wait", store.denied(&who, &log, 8)?.wait, Wait::After(60 * SECOND))
        },
    },
    Scenario {
        name: "settle.a_log_recognises_a_charge_after_a_step_back",
        promise: "sliding log: a refund removes the charge's own entry, also among entries that a \
                  step of the clock has brought to the same instant",
        body: |trial| {
            let log = policy(RateLimitPolicy::per_minute(50).sliding_log())?;
            for earlier in 0..8 {
                let (store, who) = (trial.store(), user("time traveller")?);
                store.advance_nanos(SECOND);
                for _ in 0..earlier {
                    store.admitted(&who, &log, 1)?;
                    store.advance_nanos(SECOND);
                }
                store.clock.step_back(Duration::from_secs(earlier + 1));
                let taken = store.admitted(&who, &log, 5)?;
                equal("returned", store.refund(&taken, 5)?, 5)?;
                equal("left", store.remaining(&who, &log)?, 50 - earlier)?;
            }
            Ok(())
        },
    },
];
