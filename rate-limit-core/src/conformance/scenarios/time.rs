//! Clocks that are set, and calendar windows.

use std::time::Duration;

use super::algorithms::{TWO_MINUTES, fill, ten_per_minute};
use super::{SECOND, Scenario};
use crate::algorithm::Wait;
use crate::conformance::trial::{Mismatch, ensure, equal, policy, user};
use crate::policy::RateLimitPolicy;

const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "time.stepping_back_refills_nothing",
        promise: "a clock that steps back never refills a bucket",
        body: |trial| {
            for ten in ten_per_minute()? {
                for step in [Duration::from_nanos(1), Duration::from_secs(59), HALF_AN_HOUR] {
                    let (store, who) = (trial.store(), user("time traveller")?);
                    fill(&store, &who, &ten)?;
                    store.clock.step_back(step);
                    let denied = store.denied(&who, &ten, 1)?;
                    equal("left after stepping back", denied.remaining, 0)?;
                    if step.as_nanos() == 1 {
                        store.clock.advance(step);
                        equal("left after coming back", store.remaining(&who, &ten)?, 0)?;
                    }
                }
            }
            Ok(())
        },
    },
    Scenario {
        name: "time.stepping_back_locks_nobody_out",
        promise: "a state further in the future than possible is brought back to full debt: nobody \
                  waits longer than a full refill, however far the clock stepped",
        body: |trial| {
            for ten in ten_per_minute()? {
                let (store, who) = (trial.store(), user("time traveller")?);
                fill(&store, &who, &ten)?;
                store.clock.step_back(HALF_AN_HOUR);
                let told = store.denied(&who, &ten, 1)?.wait;
                let Wait::After(nanos) = told else {
                    return Err(Mismatch(format!("{ten} told {told:?}")));
                };
                ensure!(nanos <= TWO_MINUTES, "{ten} told a wait of {nanos} ns");
                store.advance_nanos(nanos);
                store.admitted(&who, &ten, 1)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "time.healing_is_written_on_denial",
        promise: "bringing a state back is written even on denial, so that the told wait is exact",
        body: |trial| {
            for ten in ten_per_minute()? {
                let (store, who) = (trial.store(), user("time traveller")?);
                fill(&store, &who, &ten)?;
                store.clock.step_back(HALF_AN_HOUR);
                let told = store.denied(&who, &ten, 4)?.wait;
                let Wait::After(nanos) = told else {
                    return Err(Mismatch(format!("{ten} told {told:?}")));
                };
                store.advance_nanos(nanos / 2);
                let rest = store.denied(&who, &ten, 4)?.wait;
                equal("wait half way", rest, Wait::After(nanos - nanos / 2))?;
                store.advance_nanos(nanos - nanos / 2 - 1);
                store.denied(&who, &ten, 4)?;
                store.advance_nanos(1);
                store.admitted(&who, &ten, 4)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "time.a_small_step_back_costs_its_length",
        promise: "the instant of fullness only moves forward: a step back within what is possible \
                  is waited for, no more",
        body: |trial| {
            let (store, who) = (trial.store(), user("adjusted")?);
            let bucket = policy(RateLimitPolicy::per_minute(10))?;
            store.admitted(&who, &bucket, 2)?;
            store.clock.step_back(Duration::from_secs(1));
            equal("reset", store.standing(&who, &bucket)?.reset_nanos, 13 * SECOND)?;
            equal("left", store.remaining(&who, &bucket)?, 7)?;
            store.advance_nanos(SECOND);
            equal("left when the clock has caught up", store.remaining(&who, &bucket)?, 8)
        },
    },
    Scenario {
        name: "time.stepping_forward_fills_no_more_than_the_burst",
        promise: "a clock that steps forward by x gives at most min(burst, rate · x)",
        body: |trial| {
            let (store, who) = (trial.store(), user("from the past")?);
            let bucket = policy(RateLimitPolicy::per_minute(10))?;
            fill(&store, &who, &bucket)?;
            store.clock.advance(Duration::from_secs(18));
            equal("after eighteen seconds", fill(&store, &who, &bucket)?, 3)?;
            store.clock.advance(Duration::from_secs(7 * 86_400));
            equal("after a week", fill(&store, &who, &bucket)?, 10)
        },
    },
    Scenario {
        name: "time.aligned_windows_begin_on_the_grid",
        promise: "an aligned window begins at whole multiples of its length since midnight UTC",
        body: |trial| {
            // The clock starts at midnight.
            let (store, who) = (trial.store(), user("punctual")?);
            let minute = policy(RateLimitPolicy::per_minute(3).aligned_window())?;
            let day = policy(RateLimitPolicy::per_day(3).named("day").aligned_window())?;
            store.advance_nanos(59 * SECOND);
            let last = store.admitted(&who, &minute, 3)?.outcome;
            equal("the minute's end", last.reset_nanos, SECOND)?;
            let first = store.admitted(&who, &day, 3)?.outcome;
            equal("midnight", first.reset_nanos, 86_341 * SECOND)?;
            store.advance_nanos(SECOND - 1);
            store.denied(&who, &minute, 1)?;
            store.advance_nanos(1);
            store.admitted(&who, &minute, 3)?;
            equal(
                "wait until midnight",
                store.denied(&who, &day, 1)?.wait,
                Wait::After(86_340 * SECOND),
            )
        },
    },
    Scenario {
        name: "time.aligned_windows_follow_the_time_of_day",
        promise: "aligned windows follow utc_now(), not the monotonic clock",
        body: |trial| {
            let (store, who) = (trial.store(), user("punctual")?);
            let hour = policy(RateLimitPolicy::per_hour(3).aligned_window())?;
            store.admitted(&who, &hour, 3)?;
            store.clock.step_utc_forward(Duration::from_secs(3_599));
            equal("wait", store.denied(&who, &hour, 1)?.wait, Wait::After(SECOND))?;
            store.clock.step_utc_forward(Duration::from_secs(1));
            store.admitted(&who, &hour, 3)?;
            Ok(())
        },
    },
    Scenario {
        name: "time.aligned_windows_never_step_back",
        promise: "aligned windows never step back to an earlier window",
        body: |trial| {
            let (store, who) = (trial.store(), user("punctual")?);
            let minute = policy(RateLimitPolicy::per_minute(3).aligned_window())?;
            store.admitted(&who, &minute, 1)?;
            store.advance_nanos(61 * SECOND);
            store.admitted(&who, &minute, 3)?;
            store.clock.step_back(Duration::from_secs(10));
            let told = store.denied(&who, &minute, 1)?.wait;
            ensure!(told <= Wait::After(60 * SECOND), "told {told:?}");
            store.advance_nanos(9 * SECOND);
            store.denied(&who, &minute, 1)?;
            Ok(())
        },
    },
];
