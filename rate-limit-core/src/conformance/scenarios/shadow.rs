//! Shadow policies watch and never decide.

use super::Scenario;
use super::algorithms::fill;
use crate::algorithm::Wait;
use crate::conformance::trial::{Checked, Policy, charge, ensure, equal, policy, user};
use crate::outcome::PolicyVerdict;
use crate::policy::RateLimitPolicy;

/// An enforced policy of ten, and a shadow of three.
fn pair() -> Checked<(Policy, Policy)> {
    let enforced = policy(RateLimitPolicy::per_minute(10).named("enforced"))?;
    let shadow = policy(RateLimitPolicy::per_minute(3).named("watching").shadow())?;
    Ok((enforced, shadow))
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "shadow.never_denies",
        promise: "enforced policies decide alone: a shadow policy without room denies nothing",
        body: |trial| {
            let (store, who) = (trial.store(), user("watched")?);
            let (enforced, shadow) = pair()?;
            for taken in 1..=10 {
                let seen = store.ask([charge(&who, &shadow, 1), charge(&who, &enforced, 1)])?;
                let enforced = seen.get(1).and_then(|outcome| outcome.charged);
                ensure!(enforced.is_some(), "request {taken} was denied by a shadow: {seen:?}");
            }
            equal("left of the enforced one", store.remaining(&who, &enforced)?, 0)
        },
    },
    Scenario {
        name: "shadow.with_room_is_charged",
        promise: "each shadow policy with room is charged in the same step",
        body: |trial| {
            let (store, who) = (trial.store(), user("watched")?);
            let (enforced, shadow) = pair()?;
            for left in [2, 1, 0] {
                let seen = store.ask([charge(&who, &enforced, 1), charge(&who, &shadow, 1)])?;
                let watching = seen.get(1).copied();
                equal("left", watching.map(|it| it.remaining), Some(left))?;
                ensure!(watching.is_some_and(|it| it.charged.is_some()), "not charged");
            }
            // Alone it is charged as well.
            let (store, who) = (trial.store(), user("only watched")?);
            store.admitted(&who, &shadow, 2)?;
            equal("left", store.remaining(&who, &shadow)?, 1)
        },
    },
    Scenario {
        name: "shadow.without_room_is_untouched",
        promise: "a shadow policy without room is untouched and reported as would deny",
        body: |trial| {
            let (store, who) = (trial.store(), user("watched")?);
            let (enforced, shadow) = pair()?;
            store.ask([charge(&who, &enforced, 2), charge(&who, &shadow, 2)])?;
            let before = store.standing(&who, &shadow)?;
            let seen = store.ask([charge(&who, &enforced, 2), charge(&who, &shadow, 2)])?;
            let watching = seen.get(1).copied();
            equal("verdict", watching.map(|it| it.verdict), Some(PolicyVerdict::Deny))?;
            ensure!(watching.is_some_and(|it| it.charged.is_none()), "charged without room");
            ensure!(watching.is_some_and(|it| it.wait != Wait::Now), "would deny, without a wait");
            equal("standing", store.standing(&who, &shadow)?, before)?;
            equal("left of the enforced one", store.remaining(&who, &enforced)?, 6)
        },
    },
    Scenario {
        name: "shadow.of_a_denied_request_is_untouched",
        promise: "if an enforced policy denies, no shadow policy is charged either",
        body: |trial| {
            // Whether the store knows the bucket of the shadow or not.
            for known in [0, 1] {
                let (store, who) = (trial.store(), user("watched")?);
                let (enforced, shadow) = pair()?;
                fill(&store, &who, &enforced)?;
                store.admitted(&who, &shadow, known)?;
                for _ in 0..5 {
                    let seen = store.ask([charge(&who, &shadow, 1), charge(&who, &enforced, 1)])?;
                    let none = seen.iter().all(|it| it.charged.is_none());
                    ensure!(none, "a denied request was charged");
                }
                equal("left of the shadow", store.remaining(&who, &shadow)?, 3 - known)?;
            }
            Ok(())
        },
    },
];
