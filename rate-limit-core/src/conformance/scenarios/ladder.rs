//! The penalty ladder: strikes, bans, growth and decay.

use std::time::Duration;

use super::algorithms::fill;
use super::{SECOND, Scenario};
use crate::algorithm::Wait;
use crate::conformance::trial::{Checked, Mismatch, Policy, Store, ensure, equal, policy, user};
use crate::identity::ClientIdentity;
use crate::outcome::{Outcome, PolicyVerdict};
use crate::penalty::PenaltyLadder;
use crate::policy::{RateLimitPolicy, RateLimitPolicyBuilder};

/// One per second; two strikes within ten seconds ban for a minute, then three, nine, ten.
pub(super) fn laddered() -> RateLimitPolicyBuilder {
    let ladder = PenaltyLadder::after(2, Duration::from_secs(10))
        .first_ban(Duration::from_secs(60))
        .growing_by(3)
        .up_to(Duration::from_secs(600))
        .decaying_every(Duration::from_secs(1_000));
    RateLimitPolicy::per_second(1).named("laddered").penalty(ladder)
}

/// Violates the policy until it bans; returns the answer that says so.
pub(super) fn provoke(store: &Store, who: &ClientIdentity, policy: &Policy) -> Checked<Outcome> {
    fill_without_strike(store, who, policy)?;
    for _ in 0..10 {
        let denied = store.denied(who, policy, 1)?;
        if denied.verdict == PolicyVerdict::Ban {
            return Ok(denied);
        }
    }
    Err(Mismatch(format!("ten violations of {policy} led to no ban")))
}

/// Takes what remains and not a unit more.
pub(super) fn fill_without_strike(store: &Store, who: &ClientIdentity, policy: &Policy) -> Checked {
    let left = store.remaining(who, policy)?;
    if left > 0 {
        store.admitted(who, policy, left)?;
    }
    Ok(())
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "ladder.strikes_lead_to_a_ban",
        promise: "n strikes within a window from the first start a ban, told as the wait",
        body: |trial| {
            let (store, who) = (trial.store(), user("violent")?);
            let laddered = policy(laddered())?;
            store.admitted(&who, &laddered, 1)?;
            let first = store.denied(&who, &laddered, 1)?;
            equal("first strike", first.verdict, PolicyVerdict::Deny)?;
            let second = store.denied(&who, &laddered, 1)?;
            equal("second strike", second.verdict, PolicyVerdict::Ban)?;
            equal("ban", second.wait, Wait::After(60 * SECOND))?;
            store.advance_nanos(60 * SECOND - 1);
            let late = store.denied(&who, &laddered, 1)?;
            equal("last moment", (late.verdict, late.wait), (PolicyVerdict::Ban, Wait::After(1)))?;
            store.advance_nanos(1);
            store.admitted(&who, &laddered, 1)?;
            Ok(())
        },
    },
    Scenario {
        name: "ladder.strikes_expire_with_their_window",
        promise: "strikes add up only within a fixed window from the first of them",
        body: |trial| {
            let (store, who) = (trial.store(), user("rarely violent")?);
            let laddered = policy(laddered())?;
            for _ in 0..5 {
                fill_without_strike(&store, &who, &laddered)?;
                let strike = store.denied(&who, &laddered, 1)?;
                equal("a lone strike", strike.verdict, PolicyVerdict::Deny)?;
                store.advance_nanos(10 * SECOND);
            }
            fill_without_strike(&store, &who, &laddered)?;
            store.denied(&who, &laddered, 1)?;
            store.advance_nanos(10 * SECOND - 1);
            fill_without_strike(&store, &who, &laddered)?;
            let second = store.denied(&who, &laddered, 1)?;
            equal("second strike in time", second.verdict, PolicyVerdict::Ban)
        },
    },
    Scenario {
        name: "ladder.the_first_strike_begins_the_window",
        promise: "the window of strikes is counted from the first of them, not from the last",
        body: |trial| {
            let (store, who) = (trial.store(), user("now and then violent")?);
            let ladder = PenaltyLadder::after(3, Duration::from_secs(10));
            let slow = policy(RateLimitPolicy::per_day(1).penalty(ladder))?;
            store.admitted(&who, &slow, 1)?;
            // The third comes when the window of the first has ended, and begins another one.
            for _ in 0..3 {
                let strike = store.denied(&who, &slow, 1)?;
                equal("verdict", strike.verdict, PolicyVerdict::Deny)?;
                store.advance_nanos(6 * SECOND);
            }
            store.denied(&who, &slow, 1)?;
            let third = store.denied(&who, &slow, 1)?;
            equal("third strike in one window", third.verdict, PolicyVerdict::Ban)
        },
    },
    Scenario {
        name: "ladder.nothing_is_written_during_a_ban",
        promise: "during a ban nothing is written: its end is a promise",
        body: |trial| {
            let (store, who) = (trial.store(), user("stubborn")?);
            let laddered = policy(laddered())?;
            provoke(&store, &who, &laddered)?;
            for passed in 1..60 {
                store.advance_nanos(SECOND);
                let denied = store.denied(&who, &laddered, 1)?;
                equal("verdict", denied.verdict, PolicyVerdict::Ban)?;
                equal("wait", denied.wait, Wait::After((60 - passed) * SECOND))?;
            }
            store.advance_nanos(SECOND);
            store.admitted(&who, &laddered, 1)?;
            // No strike is left over from the ban.
            let strike = store.denied(&who, &laddered, 1)?;
            equal("first strike after the ban", strike.verdict, PolicyVerdict::Deny)
        },
    },
    Scenario {
        name: "ladder.bans_grow",
        promise: "a ban lasts min(first · factor^level, max), and the level rises by one each time",
        body: |trial| {
            let (store, who) = (trial.store(), user("incorrigible")?);
            let laddered = policy(laddered())?;
            for seconds in [60, 180, 540, 600, 600] {
                let ban = provoke(&store, &who, &laddered)?;
                equal("ban", ban.wait, Wait::After(seconds * SECOND))?;
                store.advance_nanos(seconds * SECOND);
            }
            Ok(())
        },
    },
    Scenario {
        name: "ladder.levels_decay",
        promise: "the level falls by one per decay after the ban's end",
        body: |trial| {
            let (store, who) = (trial.store(), user("reformed")?);
            let laddered = policy(laddered())?;
            for (pause, seconds) in [(0, 60), (0, 180), (1_999, 180), (2_000, 60), (9_000, 60)] {
                store.advance_nanos(pause * SECOND);
                let ban = provoke(&store, &who, &laddered)?;
                equal("ban", ban.wait, Wait::After(seconds * SECOND))?;
                store.advance_nanos(seconds * SECOND);
            }
            Ok(())
        },
    },
    Scenario {
        name: "ladder.belongs_to_one_client",
        promise: "a ban concerns one client and one policy",
        body: |trial| {
            let (store, who) = (trial.store(), user("violent")?);
            let (laddered, other) = (policy(laddered())?, policy(laddered().named("other"))?);
            provoke(&store, &who, &laddered)?;
            store.admitted(&who, &other, 1)?;
            store.admitted(&user("peaceful")?, &laddered, 1)?;
            Ok(())
        },
    },
    Scenario {
        name: "ladder.stepping_back_prolongs_no_ban",
        promise: "a clock that steps back locks nobody out longer than the longest ban",
        body: |trial| {
            let (store, who) = (trial.store(), user("time traveller")?);
            let laddered = policy(laddered())?;
            provoke(&store, &who, &laddered)?;
            store.clock.step_back(Duration::from_secs(3_000));
            let banned = store.denied(&who, &laddered, 1)?;
            equal("verdict", banned.verdict, PolicyVerdict::Ban)?;
            ensure!(banned.wait <= Wait::After(600 * SECOND), "banned for {:?}", banned.wait);
            store.advance_nanos(600 * SECOND);
            equal("after the longest ban", fill(&store, &who, &laddered)?, 1)
        },
    },
];
