//! What a request costs.

use super::algorithms::{TWO_MINUTES, fill, ten_per_minute};
use super::{SECOND, Scenario};
use crate::algorithm::Wait;
use crate::conformance::trial::{ensure, equal, policy, user};
use crate::outcome::PolicyVerdict;
use crate::policy::RateLimitPolicy;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "cost.every_unit_counts",
        promise: "a request takes as many units as it costs, or none",
        body: |trial| {
            let (store, who) = (trial.store(), user("costly")?);
            for ten in ten_per_minute()? {
                let taken = store.admitted(&who, &ten, 7)?.outcome;
                equal("left of 10 after 7", taken.remaining, 3)?;
                let denied = store.denied(&who, &ten, 4)?;
                equal("left after a denial", denied.remaining, 3)?;
                let taken = store.admitted(&who, &ten, 3)?.outcome;
                equal("left of 10 after 7 and 3", taken.remaining, 0)?;
                store.denied(&who, &ten, 1)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "cost.the_whole_capacity_at_once",
        promise: "a cost of the whole capacity is admitted by a full bucket, and only by it",
        body: |trial| {
            let (store, who) = (trial.store(), user("greedy")?);
            for ten in ten_per_minute()? {
                store.admitted(&who, &ten, 10)?;
                store.denied(&who, &ten, 10)?;
                store.advance_nanos(TWO_MINUTES);
                store.admitted(&who, &ten, 1)?;
                ensure!(store.denied(&who, &ten, 10)?.wait != Wait::Never, "{ten} can be full");
            }
            Ok(())
        },
    },
    Scenario {
        name: "cost.above_capacity_is_never",
        promise: "a cost above the capacity is denied as Never and takes nothing",
        body: |trial| {
            let (store, who) = (trial.store(), user("too greedy")?);
            for ten in ten_per_minute()? {
                for units in [11, 1 << 32, u64::MAX] {
                    let denied = store.denied(&who, &ten, units)?;
                    equal("verdict", denied.verdict, PolicyVerdict::Deny)?;
                    equal("wait", denied.wait, Wait::Never)?;
                    equal("remaining", denied.remaining, 10)?;
                }
                equal("admitted afterwards", fill(&store, &who, &ten)?, 10)?;
                equal("wait of an empty bucket", store.denied(&who, &ten, 11)?.wait, Wait::Never)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "cost.zero_is_allowed",
        promise: "a cost of zero asks, and is allowed however little is left",
        body: |trial| {
            let (store, who) = (trial.store(), user("asking")?);
            for ten in ten_per_minute()? {
                equal("left of a fresh bucket", store.remaining(&who, &ten)?, 10)?;
                fill(&store, &who, &ten)?;
                let asked = store.standing(&who, &ten)?;
                equal("verdict", asked.verdict, PolicyVerdict::Admit)?;
                equal("wait", asked.wait, Wait::Now)?;
                equal("remaining", asked.remaining, 0)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "cost.zero_writes_nothing",
        promise: "a cost of zero writes nothing: it takes no unit and begins no window",
        body: |trial| {
            let (store, who) = (trial.store(), user("asking often")?);
            for ten in ten_per_minute()? {
                for _ in 0..20 {
                    let asked = store.standing(&who, &ten)?;
                    ensure!(asked.charged.is_none(), "{ten} charged a request that costs nothing");
                }
                equal("left after asking", store.remaining(&who, &ten)?, 10)?;
            }
            let window = policy(RateLimitPolicy::per_minute(5).named("begins").fixed_window())?;
            store.standing(&who, &window)?;
            store.advance_nanos(40 * SECOND);
            let first = store.admitted(&who, &window, 1)?.outcome;
            equal("window's end after its first charge", first.reset_nanos, 60 * SECOND)
        },
    },
];
