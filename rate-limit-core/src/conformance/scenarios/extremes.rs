//! The ends of the accepted ranges.

use std::time::Duration;

use super::algorithms::ten_per_minute;
use super::{SECOND, Scenario};
use crate::adjustment::Change;
use crate::algorithm::{MAX_UNITS, Wait};
use crate::conformance::trial::{equal, policy, user};
use crate::policy::{MAX_WINDOW, RateLimitPolicy};
use crate::sliding_log::SlidingLog;

const YEAR: u64 = 366 * 86_400 * SECOND;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "extremes.largest_burst",
        promise: "the largest burst at the highest rate overflows nowhere",
        body: |trial| {
            let (store, who) = (trial.store(), user("huge")?);
            let huge = policy(RateLimitPolicy::per_second(1_000_000).burst(MAX_UNITS))?;
            let taken = store.admitted(&who, &huge, MAX_UNITS)?.outcome;
            equal("left", taken.remaining, 0)?;
            equal("reset", taken.reset_nanos, MAX_UNITS * 1_000)?;
            equal("wait for one", store.denied(&who, &huge, 1)?.wait, Wait::After(1_000))?;
            let all = store.denied(&who, &huge, MAX_UNITS)?;
            equal("wait for all", all.wait, Wait::After(MAX_UNITS * 1_000))?;
            store.advance_nanos(MAX_UNITS * 1_000);
            store.admitted(&who, &huge, MAX_UNITS)?;
            Ok(())
        },
    },
    Scenario {
        name: "extremes.slowest_rate",
        promise: "one per 366 days with nearly a century to refill is exact",
        body: |trial| {
            let (store, who) = (trial.store(), user("slow")?);
            let slow = policy(RateLimitPolicy::per(1, MAX_WINDOW).burst(99))?;
            let taken = store.admitted(&who, &slow, 99)?.outcome;
            equal("reset", taken.reset_nanos, 99 * YEAR)?;
            store.advance_nanos(YEAR - 1);
            equal("wait", store.denied(&who, &slow, 1)?.wait, Wait::After(1))?;
            store.advance_nanos(1);
            store.admitted(&who, &slow, 1)?;
            store.advance_nanos(99 * YEAR);
            equal("after a century", store.remaining(&who, &slow)?, 99)
        },
    },
    Scenario {
        name: "extremes.largest_windows",
        promise: "windows of the largest limit and length count exactly",
        body: |trial| {
            let (store, who) = (trial.store(), user("wide")?);
            let largest = || RateLimitPolicy::per(MAX_UNITS, MAX_WINDOW);
            let fixed = policy(largest().named("fixed").fixed_window())?;
            let sliding = policy(largest().named("sliding").sliding_window())?;
            for wide in [&fixed, &sliding] {
                store.admitted(&who, wide, MAX_UNITS - 1)?;
                store.denied(&who, wide, 2)?;
                store.admitted(&who, wide, 1)?;
                store.denied(&who, wide, 1)?;
            }
            store.advance_nanos(YEAR + YEAR / 3);
            equal("a new window", store.remaining(&who, &fixed)?, MAX_UNITS)?;
            // ceil(previous · 2/3) still count, and 2^32 - 1 is divisible by three.
            equal("a third has slid out", store.remaining(&who, &sliding)?, MAX_UNITS / 3)
        },
    },
    Scenario {
        name: "extremes.fullest_log",
        promise: "a log keeps up to its limit of charges apart",
        body: |trial| {
            let (store, who) = (trial.store(), user("logging")?);
            let limit = SlidingLog::MAX_LIMIT;
            let log = policy(RateLimitPolicy::per_day(limit).sliding_log())?;
            let entries = 200;
            for _ in 0..entries {
                store.admitted(&who, &log, limit / entries)?;
                store.advance_nanos(SECOND);
            }
            let (day, passed) = (86_400 * SECOND, entries * SECOND);
            let denied = store.denied(&who, &log, limit / entries)?;
            equal("wait for the oldest", denied.wait, Wait::After(day - passed))?;
            let denied = store.denied(&who, &log, limit)?;
            equal("wait for the newest", denied.wait, Wait::After(day - SECOND))
        },
    },
    Scenario {
        name: "extremes.absurd_adjustments",
        promise: "adjustments of any size neither overflow nor pass full and empty",
        body: |trial| {
            let (store, who) = (trial.store(), user("absurd")?);
            for ten in ten_per_minute()? {
                let one = store.admitted(&who, &ten, 1)?;
                let other = store.admitted(&who, &ten, 2)?;
                let added = store.change(&one, Change::Add(u64::MAX))?;
                equal("excess", added.excess, u64::MAX - 7)?;
                equal("left at full debt", store.remaining(&who, &ten)?, 0)?;
                equal("returned", store.refund(&other, u64::MAX)?, 2)?;
                equal("left after the refund", store.remaining(&who, &ten)?, 2)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "extremes.two_centuries_later",
        promise: "a clock that is centuries past its origin changes nothing",
        body: |trial| {
            let (store, who) = (trial.store(), user("late")?);
            store.clock.advance(Duration::from_nanos(YEAR) * 200);
            for ten in ten_per_minute()? {
                store.admitted(&who, &ten, 10)?;
                store.denied(&who, &ten, 1)?;
                store.advance_nanos(super::algorithms::TWO_MINUTES);
                equal("left", store.remaining(&who, &ten)?, 10)?;
            }
            Ok(())
        },
    },
];
