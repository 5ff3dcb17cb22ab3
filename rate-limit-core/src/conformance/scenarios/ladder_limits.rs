//! What is no strike, and how a ban meets everything else.

use std::time::Duration;

use super::ladder::{fill_without_strike, laddered, provoke};
use super::{SECOND, Scenario};
use crate::algorithm::Wait;
use crate::conformance::trial::{charge, ensure, equal, policy, user};
use crate::outcome::PolicyVerdict;
use crate::penalty::PenaltyLadder;
use crate::policy::RateLimitPolicy;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "ladder.asking_is_no_strike",
        promise: "a cost of zero never strikes",
        body: |trial| {
            let (store, who) = (trial.store(), user("curious")?);
            let laddered = policy(laddered())?;
            fill_without_strike(&store, &who, &laddered)?;
            for _ in 0..10 {
                let asked = store.standing(&who, &laddered)?;
                equal("verdict", asked.verdict, PolicyVerdict::Admit)?;
            }
            let strike = store.denied(&who, &laddered, 1)?;
            equal("the first strike", strike.verdict, PolicyVerdict::Deny)
        },
    },
    Scenario {
        name: "ladder.shadow_never_strikes",
        promise: "a shadow policy never strikes and bans nobody",
        body: |trial| {
            let (store, who) = (trial.store(), user("watched")?);
            let shadow = policy(laddered().shadow())?;
            let open = policy(RateLimitPolicy::per_second(1_000).named("open"))?;
            for _ in 0..10 {
                let seen = store.ask([charge(&who, &shadow, 1), charge(&who, &open, 1)])?;
                ensure!(
                    seen.iter().all(|it| it.verdict != PolicyVerdict::Ban),
                    "banned by a shadow"
                );
            }
            // Nor was anything noted that an enforced version of it would find.
            let enforced = policy(laddered())?;
            let strike = store.denied(&who, &enforced, 1)?;
            equal("the first strike", strike.verdict, PolicyVerdict::Deny)
        },
    },
    Scenario {
        name: "ladder.admission_is_no_strike",
        promise: "only a denial by the policy itself is a strike",
        body: |trial| {
            let (store, who) = (trial.store(), user("stopped elsewhere")?);
            let lenient = policy(laddered().burst(30))?;
            let strict = policy(RateLimitPolicy::per_minute(1).named("strict"))?;
            for _ in 0..10 {
                store.ask([charge(&who, &lenient, 1), charge(&who, &strict, 1)])?;
            }
            equal("left", store.remaining(&who, &lenient)?, 29)?;
            store.admitted(&who, &lenient, 29)?;
            let strike = store.denied(&who, &lenient, 1)?;
            equal("the first strike", strike.verdict, PolicyVerdict::Deny)
        },
    },
    Scenario {
        name: "ladder.never_strikes_too",
        promise: "a cost above the capacity is a violation like any other, and told as Never",
        body: |trial| {
            let (store, who) = (trial.store(), user("far too greedy")?);
            let laddered = policy(laddered())?;
            let first = store.denied(&who, &laddered, 2)?;
            equal("first", (first.verdict, first.wait), (PolicyVerdict::Deny, Wait::Never))?;
            let second = store.denied(&who, &laddered, 2)?;
            equal("second", (second.verdict, second.wait), (PolicyVerdict::Ban, Wait::Never))?;
            let banned = store.denied(&who, &laddered, 1)?;
            equal("the ban", banned.wait, Wait::After(60 * SECOND))
        },
    },
    Scenario {
        name: "ladder.the_longer_wait_counts",
        promise: "during a ban the wait is the longer of the ban's end and the bucket's wait",
        body: |trial| {
            let (store, who) = (trial.store(), user("violent")?);
            let ladder =
                PenaltyLadder::after(1, Duration::from_secs(10)).first_ban(Duration::from_secs(60));
            let slow = policy(RateLimitPolicy::per_hour(2).penalty(ladder))?;
            store.admitted(&who, &slow, 2)?;
            let ban = store.denied(&who, &slow, 1)?;
            equal("verdict", ban.verdict, PolicyVerdict::Ban)?;
            equal("wait for one", ban.wait, Wait::After(1_800 * SECOND))?;
            let both = store.denied(&who, &slow, 2)?;
            equal("wait for both", both.wait, Wait::After(3_600 * SECOND))?;
            store.advance_nanos(1_800 * SECOND);
            store.admitted(&who, &slow, 1)?;
            Ok(())
        },
    },
    Scenario {
        name: "ladder.a_ban_outweighs_the_bucket",
        promise: "a ban denies whatever the bucket holds, a cost of zero included",
        body: |trial| {
            let (store, who) = (trial.store(), user("violent")?);
            let laddered = policy(laddered())?;
            provoke(&store, &who, &laddered)?;
            store.advance_nanos(30 * SECOND);
            let asked = store.standing(&who, &laddered)?;
            equal("verdict", asked.verdict, PolicyVerdict::Ban)?;
            equal("wait", asked.wait, Wait::After(30 * SECOND))?;
            equal("left all the same", asked.remaining, 1)?;
            store.denied(&who, &laddered, 1)?;
            Ok(())
        },
    },
    Scenario {
        name: "ladder.a_ban_is_all_or_nothing",
        promise: "a request denied by a ban charges none of its policies",
        body: |trial| {
            let (store, who) = (trial.store(), user("violent")?);
            let laddered = policy(laddered())?;
            let other = policy(RateLimitPolicy::per_minute(10).named("other"))?;
            provoke(&store, &who, &laddered)?;
            for _ in 0..5 {
                let seen = store.ask([charge(&who, &other, 1), charge(&who, &laddered, 1)])?;
                ensure!(seen.iter().all(|it| it.charged.is_none()), "a banned request was charged");
            }
            equal("left of the other", store.remaining(&who, &other)?, 10)
        },
    },
    Scenario {
        name: "ladder.survives_the_bucket",
        promise: "strikes and levels are kept although the bucket is as good as new",
        body: |trial| {
            let (store, who) = (trial.store(), user("patiently violent")?);
            let laddered = policy(laddered())?;
            provoke(&store, &who, &laddered)?;
            store.advance_nanos(500 * SECOND);
            // A crowd in between makes a store with little room forget what it may forget.
            for number in 0..300 {
                store.admitted(&user(&format!("passer-by {number}"))?, &laddered, 1)?;
            }
            let ban = provoke(&store, &who, &laddered)?;
            equal("the second ban", ban.wait, Wait::After(180 * SECOND))
        },
    },
];
