//! What operators do with a store. Stores without such access pass.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::ladder::{laddered, provoke};
use super::{SECOND, Scenario};
use crate::administration::Reset;
use crate::conformance::executor::block_on;
use crate::conformance::trial::{ensure, equal, policy, user};
use crate::outcome::PolicyVerdict;
use crate::policy::{Mode, RateLimitPolicy};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "administration.peeking_charges_nothing",
        promise: "an operator sees where a client stands without charging anything",
        body: |trial| {
            let Some((store, operator)) = trial.administered() else {
                return Ok(());
            };
            let who = user("observed")?;
            for ten in super::algorithms::ten_per_minute()? {
                store.admitted(&who, &ten, 4)?;
                store.advance_nanos(SECOND);
                let told = store.standing(&who, &ten)?;
                for _ in 0..3 {
                    let seen = block_on(operator.peek(&who, &ten))?;
                    equal("remaining", seen.remaining, told.remaining)?;
                    equal("reset", seen.reset_after, told.reset_after())?;
                    equal("ban", seen.banned_for, None)?;
                }
            }
            let laddered = policy(laddered())?;
            provoke(&store, &who, &laddered)?;
            let seen = block_on(operator.peek(&who, &laddered))?;
            equal("ban", seen.banned_for, Some(Duration::from_secs(60)))
        },
    },
    Scenario {
        name: "administration.resetting_restores",
        promise: "a reset makes the bucket full, lifts the ban and forgets the strikes",
        body: |trial| {
            let Some((store, operator)) = trial.administered() else {
                return Ok(());
            };
            let who = user("pardoned")?;
            for ten in super::algorithms::ten_per_minute()? {
                let untouched = block_on(operator.reset(&who, &ten))?;
                equal("reset of a full bucket", untouched, Reset::Nothing)?;
                store.admitted(&who, &ten, 10)?;
                equal("reset", block_on(operator.reset(&who, &ten))?, Reset::Restored)?;
                equal("left", store.remaining(&who, &ten)?, 10)?;
            }
            let laddered = policy(laddered())?;
            for _ in 0..2 {
                let ban = provoke(&store, &who, &laddered)?;
                equal("a first ban", ban.wait.duration(), Some(Duration::from_secs(60)))?;
                equal("reset", block_on(operator.reset(&who, &laddered))?, Reset::Restored)?;
                store.admitted(&who, &laddered, 1)?;
                block_on(operator.reset(&who, &laddered))?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "administration.resetting_a_shadow_lifts_the_ban",
        promise: "a reset under a policy that only watches lifts the ban that it gave when it decided",
        body: |trial| {
            let Some((store, operator)) = trial.administered() else {
                return Ok(());
            };
            let who = user("pardoned")?;
            let enforced = policy(laddered())?;
            provoke(&store, &who, &enforced)?;
            let shadow = enforced.in_mode(Mode::Shadow);
            equal("reset", block_on(operator.reset(&who, &shadow))?, Reset::Restored)?;
            store.admitted(&who, &enforced, 1)?;
            Ok(())
        },
    },
    Scenario {
        name: "administration.strikes_are_something_to_reset",
        promise: "strikes alone are something to reset, also where the bucket is full",
        body: |trial| {
            let Some((store, operator)) = trial.administered() else {
                return Ok(());
            };
            let who = user("impatient")?;
            let laddered = policy(laddered())?;
            for _ in 0..3 {
                // More than there will ever be: a strike, and no debt.
                let denied = store.denied(&who, &laddered, 2)?;
                equal("the first strike", denied.verdict, PolicyVerdict::Deny)?;
                equal("reset", block_on(operator.reset(&who, &laddered))?, Reset::Restored)?;
                equal("reset again", block_on(operator.reset(&who, &laddered))?, Reset::Nothing)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "administration.listing_names_buckets_alone",
        promise: "a debtor with strikes is listed once, as the bucket that is in debt",
        body: |trial| {
            let Some((store, operator)) = trial.administered() else {
                return Ok(());
            };
            let laddered = policy(laddered())?;
            for name in ["one", "other"] {
                let who = user(name)?;
                store.admitted(&who, &laddered, 1)?;
                store.denied(&who, &laddered, 1)?;
            }
            let limit = NonZeroUsize::new(10).unwrap_or(NonZeroUsize::MIN);
            let page = block_on(operator.list(None, limit))?;
            equal("listed", page.buckets.len(), 2)?;
            equal("the next page", page.next, None)
        },
    },
    Scenario {
        name: "administration.listing_names_each_debtor_once",
        promise: "every bucket in debt that does not come or go is listed exactly once",
        body: |trial| {
            let Some((store, operator)) = trial.administered() else {
                return Ok(());
            };
            let hourly = policy(RateLimitPolicy::per_hour(10))?;
            for number in 0..137 {
                store.admitted(&user(&format!("debtor {number}"))?, &hourly, 10)?;
            }
            for page_size in [1, 10, 136, 137, 500] {
                let Some(limit) = NonZeroUsize::new(page_size) else {
                    continue;
                };
                let (mut listed, mut after) = (Vec::new(), None);
                loop {
                    let page = block_on(operator.list(after, limit))?;
                    ensure!(page.buckets.len() <= page_size, "a page of {}", page.buckets.len());
                    listed.extend(page.buckets.iter().map(|bucket| bucket.id));
                    after = page.next;
                    ensure!(listed.len() <= 137, "more than 137 buckets listed");
                    if after.is_none() {
                        break;
                    }
                }
                listed.sort_unstable();
                listed.dedup();
                equal("different buckets listed", listed.len(), 137)?;
            }
            Ok(())
        },
    },
];
