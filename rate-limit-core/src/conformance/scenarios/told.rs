//! What clients are told is exact.

use std::time::Duration;

use super::algorithms::{fill, ten_per_minute};
use super::{SECOND, Scenario};
use crate::algorithm::Wait;
use crate::conformance::trial::{Checked, Mismatch, Policy, Store, ensure, equal, policy, user};
use crate::identity::ClientIdentity;
use crate::policy::RateLimitPolicy;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "told.wait_is_exact",
        promise: "a client that waits as told is admitted, one that comes a nanosecond earlier is \
                  not",
        body: |trial| {
            let (store, who) = (trial.store(), user("obedient")?);
            for ten in ten_per_minute()? {
                for units in [1, 3, 10, 7, 2, 9, 1, 4] {
                    wait_as_told(&store, &who, &ten, units)?;
                    // Elsewhere in the window each time.
                    store.advance_nanos(units * 1_234_567_891);
                }
            }
            Ok(())
        },
    },
    Scenario {
        name: "told.wait_is_exact_below_a_millisecond",
        promise: "the tick is one nanosecond, also for waits far below a millisecond",
        body: |trial| {
            let (store, who) = (trial.store(), user("in a hurry")?);
            let microsecond = Duration::from_micros(1);
            for fast in [
                policy(RateLimitPolicy::per_second(1_000_000).named("million").burst(3))?,
                policy(RateLimitPolicy::per_second(999_999).named("less").burst(3))?,
                policy(RateLimitPolicy::per_second(1_500).named("thousands").burst(2))?,
                policy(RateLimitPolicy::per(1, microsecond).named("window").fixed_window())?,
                policy(RateLimitPolicy::per(3, 7 * microsecond).named("sliding").sliding_window())?,
                policy(RateLimitPolicy::per(3, 7 * microsecond).named("log").sliding_log())?,
            ] {
                for units in [1, 1, fast.capacity(), 1] {
                    wait_as_told(&store, &who, &fast, units)?;
                    store.advance_nanos(units * 331);
                }
            }
            Ok(())
        },
    },
    Scenario {
        name: "told.the_longest_wait_is_enough",
        promise: "a client that waits for the longest wait of several policies is admitted",
        body: |trial| {
            let (store, who) = (trial.store(), user("patient")?);
            let policies = ten_per_minute()?;
            let all = |units: u64| {
                let who = &who;
                policies.iter().map(move |ten| super::super::trial::charge(who, ten, units))
            };
            for units in [10, 4, 7, 1] {
                let outcomes = store.ask(all(units))?;
                let wait = outcomes.iter().map(|outcome| outcome.wait).max().unwrap_or(Wait::Now);
                let Wait::After(nanos) = wait else {
                    ensure!(wait == Wait::Now, "told {wait:?} for {units} of 10");
                    continue;
                };
                store.advance_nanos(nanos - 1);
                let early = store.ask(all(units))?;
                ensure!(early.iter().any(|it| it.is_violated()), "admitted a nanosecond early");
                store.advance_nanos(1);
                let late = store.ask(all(units))?;
                ensure!(late.iter().all(|it| !it.is_violated()), "not admitted as told: {late:?}");
            }
            Ok(())
        },
    },
    Scenario {
        name: "told.remaining_can_be_taken",
        promise: "remaining is what still fits after the decision, from 0 to the capacity",
        body: |trial| {
            let (store, who) = (trial.store(), user("exact")?);
            for ten in ten_per_minute()? {
                for pause in [0, 7 * SECOND, 61 * SECOND, 13 * SECOND, SECOND] {
                    store.advance_nanos(pause);
                    let told = store.take(&who, &ten, 2)?.remaining;
                    ensure!(told <= 10, "{ten} has {told} left");
                    store.denied(&who, &ten, told + 1)?;
                    if told > 0 {
                        let left = store.admitted(&who, &ten, told)?.outcome.remaining;
                        equal("left after taking all that remained", left, 0)?;
                    }
                }
            }
            Ok(())
        },
    },
    Scenario {
        name: "told.reset_is_when_nothing_is_missing",
        promise: "reset is the time until the bucket is full again, or its window ends",
        body: |trial| {
            for ten in ten_per_minute()? {
                let (store, who) = (trial.store(), user("resetting")?);
                store.advance_nanos(11 * SECOND);
                store.admitted(&who, &ten, 6)?;
                store.advance_nanos(5 * SECOND);
                let told = store.admitted(&who, &ten, 3)?.outcome.reset_nanos;
                equal("asked again", store.standing(&who, &ten)?.reset_nanos, told)?;
                ensure!((1..=120 * SECOND).contains(&told), "{ten} is full after {told} ns");
                store.advance_nanos(told - 1);
                let left = store.remaining(&who, &ten)?;
                ensure!(left < 10, "{ten} was full a nanosecond before it was told to be");
                store.advance_nanos(1);
                equal("left after the reset", store.remaining(&who, &ten)?, 10)?;
            }
            Ok(())
        },
    },
];

/// Empties the bucket, asks for `units` and does as told.
fn wait_as_told(store: &Store, who: &ClientIdentity, policy: &Policy, units: u64) -> Checked {
    fill(store, who, policy)?;
    let told = store.denied(who, policy, units)?.wait;
    let Wait::After(nanos) = told else {
        return Err(Mismatch(format!("{policy} told {told:?} for {units} units")));
    };
    ensure!(nanos > 0, "{policy} told a wait of zero");
    store.advance_nanos(nanos - 1);
    let early = store.denied(who, policy, units)?;
    equal("wait one nanosecond early", early.wait, Wait::After(1))?;
    store.advance_nanos(1);
    store.admitted(who, policy, units)?;
    Ok(())
}
