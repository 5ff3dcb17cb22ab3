//! The rate is neither exceeded nor missed.

use std::time::Duration;

use super::{SECOND, Scenario};
use crate::algorithm::Wait;
use crate::conformance::trial::{Checked, Mismatch, Trial, ensure, equal, policy, user};
use crate::policy::RateLimitPolicy;

const YEAR: u64 = 366 * 86_400 * SECOND;
const MINUTE: u64 = 60 * SECOND;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "rates.up_to_a_thousand_per_second",
        promise: "the rate's error is within [−1 ppm, 0] up to 1,000 per second, from 1 per year",
        body: |trial| {
            for (limit, window) in [
                (1, YEAR),
                (5, YEAR),
                (3, SECOND),
                (7, MINUTE),
                (999, SECOND),
                (1_000, SECOND),
                (59_999, MINUTE),
            ] {
                rate(trial, limit, window, 1_000_000)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "rates.up_to_a_million_per_second",
        promise: "the rate's error is within [−0.1 %, 0] up to 1,000,000 per second",
        body: |trial| {
            for limit in [1_001, 7_919, 300_007, 999_001, 999_999, 1_000_000] {
                rate(trial, limit, SECOND, 1_000)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "rates.the_burst_is_exact",
        promise: "a full bucket admits exactly its burst at one instant, whatever the rate",
        body: |trial| {
            let store = trial.store();
            for (limit, window) in [(1, YEAR), (3, SECOND), (7, MINUTE), (999_999, SECOND)] {
                for burst in [1, 2, 7, 64] {
                    let builder = RateLimitPolicy::per(limit, Duration::from_nanos(window));
                    let exact = policy(builder.burst(burst).named(format!("{limit}-{burst}")))?;
                    let who = user("bursting")?;
                    for taken in 1..=burst {
                        let left = store.admitted(&who, &exact, 1)?.outcome.remaining;
                        equal("left", left, burst - taken)?;
                    }
                    store.denied(&who, &exact, 1)?;
                }
            }
            Ok(())
        },
    },
];

/// Lets a client take a unit whenever it is told to, and compares the pace with the asked one. The
/// pace may be too slow by one part in `parts`, and not too fast at all.
fn rate(trial: &Trial<'_>, limit: u64, window: u64, parts: u128) -> Checked {
    let (store, who) = (trial.store(), user("pacing")?);
    let paced = policy(RateLimitPolicy::per(limit, Duration::from_nanos(window)).burst(1))?;
    store.admitted(&who, &paced, 1)?;
    let requests = 40;
    let mut elapsed = 0;
    for _ in 0..requests {
        let told = store.denied(&who, &paced, 1)?.wait;
        let Wait::After(nanos) = told else {
            return Err(Mismatch(format!("{paced} told {told:?}")));
        };
        elapsed += u128::from(nanos);
        store.advance_nanos(nanos);
        store.admitted(&who, &paced, 1)?;
    }
    // All in units of one nanosecond and one request: no rounding here.
    let ideal = u128::from(requests * window);
    let actual = elapsed * u128::from(limit);
    ensure!(actual >= ideal, "{paced} admitted {requests} in {elapsed} ns, which is too fast");
    let missing = (actual - ideal) * parts;
    ensure!(missing <= actual, "{paced} admitted {requests} in {elapsed} ns, which is too slow");
    Ok(())
}
