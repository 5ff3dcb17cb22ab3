//! Settling: units given back or added after the response.

use super::algorithms::{TWO_MINUTES, ten_per_minute};
use super::{SECOND, Scenario};
use crate::adjustment::{Adjusted, Change};
use crate::conformance::trial::{charge, ensure, equal, policy, user};
use crate::policy::RateLimitPolicy;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "settle.a_refund_at_once_undoes_the_charge",
        promise: "a refund gives back what time has not: at once, that is everything",
        body: |trial| {
            let (store, who) = (trial.store(), user("refunded")?);
            for ten in ten_per_minute()? {
                let before = store.standing(&who, &ten)?;
                let taken = store.admitted(&who, &ten, 4)?;
                equal("returned", store.refund(&taken, 4)?, 4)?;
                let after = store.standing(&who, &ten)?;
                equal("left", after.remaining, before.remaining)?;
                equal("reset", after.reset_nanos, before.reset_nanos)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "settle.a_refund_of_a_part",
        promise: "a refund gives back as many units as asked, and never more than were charged",
        body: |trial| {
            let (store, who) = (trial.store(), user("partly refunded")?);
            for ten in ten_per_minute()? {
                let first = store.admitted(&who, &ten, 6)?;
                let second = store.admitted(&who, &ten, 3)?;
                equal("returned of 6", store.refund(&first, 2)?, 2)?;
                equal("left", store.remaining(&who, &ten)?, 3)?;
                equal("returned of 3", store.refund(&second, 100)?, 3)?;
                equal("left", store.remaining(&who, &ten)?, 6)?;
                equal("returned of nothing", store.refund(&second, 0)?, 0)?;
                equal("left", store.remaining(&who, &ten)?, 6)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "settle.too_late_gives_nothing",
        promise: "what time has given back already is not given back again",
        body: |trial| {
            for ten in ten_per_minute()? {
                let (store, who) = (trial.store(), user("late")?);
                let early = store.admitted(&who, &ten, 10)?;
                store.advance_nanos(TWO_MINUTES);
                let later = store.admitted(&who, &ten, 10)?;
                equal("returned", store.refund(&early, 10)?, 0)?;
                equal("left", store.remaining(&who, &ten)?, 0)?;
                equal("returned of the later one", store.refund(&later, 10)?, 10)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "settle.a_refund_admits_the_next",
        promise: "units that were given back can be taken at once, and no others",
        body: |trial| {
            for ten in ten_per_minute()? {
                let (store, who) = (trial.store(), user("next")?);
                let taken = store.admitted(&who, &ten, 7)?;
                store.admitted(&who, &ten, 3)?;
                store.denied(&who, &ten, 1)?;
                store.refund(&taken, 2)?;
                store.admitted(&who, &ten, 2)?;
                store.denied(&who, &ten, 1)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "settle.adding_takes_without_a_test",
        promise: "adding units later takes them without a test",
        body: |trial| {
            let (store, who) = (trial.store(), user("dearer than thought")?);
            for ten in ten_per_minute()? {
                let taken = store.admitted(&who, &ten, 1)?;
                let added = store.change(&taken, Change::Add(4))?;
                equal("added", added, Adjusted::default())?;
                equal("left", store.remaining(&who, &ten)?, 5)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "settle.adding_saturates_at_full_debt",
        promise: "adding saturates at full debt and reports the excess",
        body: |trial| {
            for ten in ten_per_minute()? {
                let (store, who) = (trial.store(), user("much dearer")?);
                let taken = store.admitted(&who, &ten, 8)?;
                let added = store.change(&taken, Change::Add(5))?;
                equal("added", added, Adjusted { returned: 0, excess: 3 })?;
                equal("left", store.remaining(&who, &ten)?, 0)?;
                let again = store.change(&taken, Change::Add(1))?;
                equal("added to full debt", again, Adjusted { returned: 0, excess: 1 })?;
                // Full debt is full debt: it does not last longer than any other.
                store.advance_nanos(TWO_MINUTES);
                equal("left after a full refill", store.remaining(&who, &ten)?, 10)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "settle.full_debt_takes_the_last_part_of_a_unit",
        promise: "adding saturates at full debt also where less than a whole unit was left",
        body: |trial| {
            let (store, who) = (trial.store(), user("dearer")?);
            let bucket = policy(RateLimitPolicy::per_minute(10))?;
            let taken = store.admitted(&who, &bucket, 10)?;
            store.advance_nanos(3 * SECOND);
            let added = store.change(&taken, Change::Add(1))?;
            equal("added", added, Adjusted { returned: 0, excess: 1 })?;
            equal("reset", store.standing(&who, &bucket)?.reset_nanos, 60 * SECOND)
        },
    },
    Scenario {
        name: "settle.each_adjustment_by_itself",
        promise: "settling carries out each adjustment by itself and answers in their order",
        body: |trial| {
            let (store, who) = (trial.store(), user("many")?);
            let policies = ten_per_minute()?;
            let mut adjustments = Vec::new();
            let outcomes = store.ask(policies.iter().map(|ten| charge(&who, ten, 5)))?;
            for ((ten, outcome), units) in policies.iter().zip(outcomes.iter()).zip(1..) {
                let taken = crate::conformance::trial::Taken {
                    charge: charge(&who, ten, 5),
                    outcome: *outcome,
                };
                adjustments.push(taken.adjustment(Change::Refund(units))?);
            }
            let settled = store.settle(adjustments)?;
            let returned: Vec<u64> = settled.iter().map(|one| one.returned).collect();
            equal("returned", returned, vec![1, 2, 3, 4, 5])?;
            for (ten, units) in policies.iter().zip(1..) {
                equal("left", store.remaining(&who, ten)?, 5 + units)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "settle.of_one_client_leaves_others_alone",
        promise: "a refund concerns the bucket that was charged",
        body: |trial| {
            let store = trial.store();
            let (one, other) = (user("one")?, user("other")?);
            for ten in ten_per_minute()? {
                let taken = store.admitted(&one, &ten, 5)?;
                store.admitted(&other, &ten, 5)?;
                store.refund(&taken, 5)?;
                equal("left for the other", store.remaining(&other, &ten)?, 5)?;
                ensure!(store.remaining(&one, &ten)? == 10, "the refund went elsewhere");
            }
            Ok(())
        },
    },
];
