//! Several policies decide one request.

use super::Scenario;
use super::algorithms::{fill, ten_per_minute};
use crate::charge::Charge;
use crate::conformance::executor::block_on;
use crate::conformance::trial::{Checked, Policy, charge, ensure, equal, policy, user};
use crate::identity::ClientIdentity;
use crate::policy::RateLimitPolicy;
use crate::repository::RateLimitRepository;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "several.all_are_charged",
        promise: "if every enforced policy admits, every one is charged in the same step",
        body: |trial| {
            let (store, who) = (trial.store(), user("welcome")?);
            let policies = ten_per_minute()?;
            let charges = policies.iter().zip(1..).map(|(ten, units)| charge(&who, ten, units));
            let outcomes = store.ask(charges)?;
            let left: Vec<u64> = outcomes.iter().map(|outcome| outcome.remaining).collect();
            equal("left, in the order of the charges", left, vec![9, 8, 7, 6, 5])?;
            ensure!(outcomes.iter().all(|it| it.charged.is_some()), "a charge is missing");
            for (ten, units) in policies.iter().zip(1..) {
                equal("left afterwards", store.remaining(&who, ten)?, 10 - units)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "several.all_or_nothing",
        promise: "if one enforced policy denies, no policy of the request is charged",
        body: |trial| {
            // Whichever of up to four policies denies, wherever it stands, and whether the store knows
            // the buckets of the others or not.
            for (denying, known) in (0..4).flat_map(|denying| [(denying, 0), (denying, 1)]) {
                let (store, who) = (trial.store(), user("refused")?);
                let policies: Vec<Policy> = ten_per_minute()?.into_iter().take(4).collect();
                let Some(empty) = policies.get(denying) else {
                    continue;
                };
                fill(&store, &who, empty)?;
                for ten in policies.iter().filter(|ten| *ten != empty) {
                    store.admitted(&who, ten, known)?;
                }
                for _ in 0..5 {
                    let outcomes = store.ask(policies.iter().map(|ten| charge(&who, ten, 2)))?;
                    for (index, outcome) in outcomes.iter().enumerate() {
                        ensure!(outcome.charged.is_none(), "policy {index} charged all the same");
                        equal("violated", outcome.is_violated(), index == denying)?;
                        let left = if index == denying { 0 } else { 10 - known };
                        equal("left", outcome.remaining, left)?;
                    }
                }
                for ten in policies.iter().filter(|ten| *ten != empty) {
                    equal("left afterwards", store.remaining(&who, ten)?, 10 - known)?;
                }
            }
            Ok(())
        },
    },
    Scenario {
        name: "several.identities",
        promise: "policies on different identities decide together: a client stopped by its own \
                  limit takes nothing from the shared one",
        body: |trial| {
            let (store, who) = (trial.store(), user("one of many")?);
            let own = policy(RateLimitPolicy::per_minute(3).named("own"))?;
            let shared = policy(RateLimitPolicy::per_minute(100).named("shared"))?;
            let both =
                || [charge(&who, &own, 1), charge(&ClientIdentity::GLOBAL, &shared, 1)].into_iter();
            for _ in 0..10 {
                store.ask(both())?;
                store.ask(both().rev())?;
            }
            equal("left of the shared one", store.remaining(&ClientIdentity::GLOBAL, &shared)?, 97)
        },
    },
    Scenario {
        name: "several.more_than_four",
        promise: "there may be more policies than usual",
        body: |trial| {
            let (store, who) = (trial.store(), user("thoroughly checked")?);
            let policies: Vec<Policy> = (1..=9)
                .map(|limit| policy(RateLimitPolicy::per_minute(limit).named(format!("p{limit}"))))
                .collect::<Checked<_>>()?;
            let all = || -> Vec<Charge> { policies.iter().map(|it| charge(&who, it, 1)).collect() };
            let left: Vec<u64> = store.ask(all())?.iter().map(|it| it.remaining).collect();
            equal("left", left, (0..9).collect())?;
            let denied = store.ask(all())?;
            let left: Vec<u64> = denied.iter().map(|it| it.remaining).collect();
            equal("left after a denial by the first", left, (0..9).collect())?;
            ensure!(denied.iter().all(|it| it.charged.is_none()), "a denied request was charged");
            Ok(())
        },
    },
    Scenario {
        name: "several.charges_on_one_bucket_are_summed",
        promise: "charges of one request on the same bucket are summed first",
        body: |trial| {
            let (store, who) = (trial.store(), user("twice")?);
            for ten in ten_per_minute()? {
                let outcomes = store.ask([charge(&who, &ten, 4), charge(&who, &ten, 5)])?;
                equal("outcomes", outcomes.len(), 1)?;
                equal("left", store.remaining(&who, &ten)?, 1)?;
                store.ask([charge(&who, &ten, 1), charge(&who, &ten, 1)])?;
                equal("left after a denied sum", store.remaining(&who, &ten)?, 1)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "several.nothing_at_all",
        promise: "a request without charges is answered with no outcomes",
        body: |trial| {
            let store = trial.store();
            equal("outcomes", store.ask([])?.len(), 0)?;
            equal("results", store.settle([])?.iter().count(), 0)
        },
    },
    Scenario {
        name: "several.dropped_before_the_answer",
        promise: "dropping a pending answer may or may not carry out the call, never a part of it",
        body: |trial| {
            let (store, who) = (trial.store(), user("gone")?);
            let one = policy(RateLimitPolicy::per_minute(50).named("one"))?;
            let other = policy(RateLimitPolicy::per_minute(50).named("other"))?;
            let both = |units| [charge(&who, &one, units), charge(&who, &other, units)];
            for _ in 0..20 {
                drop(store.repository.acquire(&both(1).into_iter().collect()));
                let seen = store.ask(both(0))?;
                let left: Vec<u64> = seen.iter().map(|outcome| outcome.remaining).collect();
                ensure!(left.first() == left.last(), "one was charged and not the other: {left:?}");
            }
            // The store still works, and its answers belong to the right questions.
            block_on(store.repository.acquire(&both(1).into_iter().collect()))?;
            Ok(())
        },
    },
];
