//! Random requests, to a store behind the memory and to the same store without it.
//!
//! Whatever the bare store would admit, the one behind the memory admits too, and what both deny
//! they deny with the same wait. The caches at the end of this file each make one mistake, and the
//! same requests notice every one of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rate_limit_core::conformance::{SimpleRepository, block_on};
use rate_limit_core::{
    Acquire, Adjustment, Adjustments, Answer, Change, Charge, Charges, ClientIdentity, Clock,
    ManualClock, Outcome, Outcomes, PenaltyLadder, PolicyVerdict, RateLimitPolicy,
    RateLimitRepository, Settle, Timestamp, Wait,
};
use rate_limit_redis::DenialCache;

use crate::support::{Policy, policy};

#[derive(Clone, Debug)]
enum Step {
    /// Whose bucket, under which policy, how many units; one to three of them.
    Ask(Vec<(usize, usize, u64)>),
    /// The same as the last time.
    Again,
    Advance(Duration),
    /// The last charge of the policy that is settled is given back.
    Refund,
}

const CLIENTS: usize = 3;
const EPISODES: u32 = 400;

fn step() -> impl Strategy<Value = Step> {
    let charge = || (0..CLIENTS, 0..policies().len(), 0..4_u64);
    let millis = prop_oneof![0..20_u64, 0..1_500_u64];
    prop_oneof![
        8 => prop::collection::vec(charge(), 1..3).prop_map(Step::Ask),
        12 => Just(Step::Again),
        3 => millis.prop_map(|millis| Step::Advance(Duration::from_millis(millis))),
        1 => Just(Step::Refund),
    ]
}

/// Waits below and above a second, versions of one policy, one that watches, one that bans, one
/// that is settled (the last).
fn policies() -> Vec<Policy> {
    let ladder = PenaltyLadder::after(3, Duration::from_secs(10));
    let ladder = ladder.first_ban(Duration::from_secs(1));
    vec![
        policy(RateLimitPolicy::per_second(2).named("tokens")),
        policy(RateLimitPolicy::per_second(4).named("tokens")),
        policy(RateLimitPolicy::per(3, Duration::from_secs(3)).fixed_window().named("fixed")),
        policy(RateLimitPolicy::per(4, Duration::from_secs(2)).sliding_window().named("sliding")),
        policy(RateLimitPolicy::per(3, Duration::from_secs(2)).sliding_log().named("log")),
        policy(RateLimitPolicy::per_second(1).named("watched").shadow()),
        policy(RateLimitPolicy::per_second(1).named("banned").penalty(ladder)),
        policy(RateLimitPolicy::per(2, Duration::from_secs(4)).named("settled")),
    ]
}

/// What a run consisted of.
#[derive(Debug, Default)]
struct Run {
    asked: u64,
    denied: u64,
}

/// Lets `cached` and a bare store live through the same random steps.
fn differ<R: RateLimitRepository>(
    cached: impl Fn(SimpleRepository<ManualClock>, ManualClock) -> R,
) -> Result<Run, String> {
    let (mut runner, mut run) = (TestRunner::deterministic(), Run::default());
    let steps = prop::collection::vec(step(), 100..200);
    for _ in 0..EPISODES {
        let steps = steps.new_tree(&mut runner).map_err(|reason| reason.to_string())?.current();
        let clock = ManualClock::new();
        let bare = SimpleRepository::new(clock.clone());
        let cached = cached(SimpleRepository::new(clock.clone()), clock.clone());
        let policies = policies();
        let settled = policies.last().cloned().unwrap();
        let mut refundable: Option<Adjustment> = None;
        let mut charges = Charges::new();
        // The memory learns which policies are settled from the first correction.
        let nothing = Adjustment {
            identity: ClientIdentity::GLOBAL,
            policy: settled.clone(),
            charged: clock.now(),
            units: 1,
            change: Change::Refund(0),
        };
        settle(&bare, &cached, nothing);
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Advance(by) => clock.advance(*by),
                Step::Refund => {
                    if let Some(adjustment) = refundable.take() {
                        settle(&bare, &cached, adjustment);
                    }
                }
                Step::Ask(_) | Step::Again => {
                    if let Step::Ask(asked) = step {
                        charges = asked.iter().map(|asked| charge_of(&policies, asked)).collect();
                    }
                    let expected = block_on(bare.acquire(&charges)).unwrap();
                    let seen = block_on(cached.acquire(&charges)).unwrap();
                    run.asked += 1;
                    run.denied += u64::from(!is_allowed(&charges, &expected));
                    compare(&charges, &expected, &seen)
                        .map_err(|what| format!("{what} in step {number} of {steps:?}"))?;
                    let charged = charges.iter().zip(expected.iter()).find_map(|(charge, told)| {
                        let ours = charge.policy().name() == settled.name();
                        Some((charge, told.charged.filter(|_| ours)?))
                    });
                    refundable = charged.map_or(refundable, |(charge, mark)| {
                        Some(Adjustment {
                            identity: charge.identity().clone(),
                            policy: charge.policy().clone(),
                            charged: mark,
                            units: charge.units(),
                            change: Change::Refund(charge.units()),
                        })
                    });
                }
            }
        }
    }
    Ok(run)
}

fn charge_of(policies: &[Policy], &(client, policy, units): &(usize, usize, u64)) -> Charge {
    let client = ClientIdentity::user(client.to_string()).unwrap();
    Charge::new(client, policies[policy].clone(), units)
}

fn settle(bare: &impl RateLimitRepository, cached: &impl RateLimitRepository, what: Adjustment) {
    let adjustments: Adjustments = [what].into_iter().collect();
    let expected = block_on(bare.settle(&adjustments)).unwrap().total();
    assert_eq!(block_on(cached.settle(&adjustments)).unwrap().total(), expected);
}

fn is_allowed(charges: &Charges, outcomes: &Outcomes) -> bool {
    charges
        .iter()
        .zip(outcomes.iter())
        .all(|(charge, told)| !charge.policy().is_enforced() || !told.is_violated())
}

fn compare(charges: &Charges, expected: &Outcomes, seen: &Outcomes) -> Result<(), String> {
    if is_allowed(charges, expected) != is_allowed(charges, seen) {
        return Err(format!("{seen:?} instead of {expected:?}"));
    }
    for (expected, seen) in expected.iter().zip(seen.iter()) {
        let told = |outcome: &Outcome| (outcome.verdict, outcome.wait, outcome.charged);
        // What came back meanwhile may be told late, and never early.
        let early = seen.remaining > expected.remaining || seen.reset_nanos < expected.reset_nanos;
        if told(expected) != told(seen) || early {
            return Err(format!("{seen:?} instead of {expected:?}"));
        }
    }
    Ok(())
}

#[test]
fn g2_what_the_store_would_admit_is_admitted() {
    let answered = std::sync::atomic::AtomicU64::new(0);
    let add = |count| _ = answered.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
    let run =
        differ(|store, clock| Watched { cache: DenialCache::new(store, clock), add }).unwrap();
    let answered = answered.into_inner();
    println!("{} requests, {} denied, {answered} of them from memory", run.asked, run.denied);
    assert!(answered > run.denied / 10, "the memory had something to do");
}

/// Counts what was answered from memory, when an episode ends.
struct Watched<F: Fn(u64)> {
    cache: DenialCache<SimpleRepository<ManualClock>, ManualClock>,
    add: F,
}

impl<F: Fn(u64) + Send + Sync> RateLimitRepository for Watched<F> {
    fn acquire(&self, charges: &Charges) -> Acquire {
        self.cache.acquire(charges)
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        self.cache.settle(adjustments)
    }
}

impl<F: Fn(u64)> Drop for Watched<F> {
    fn drop(&mut self) {
        (self.add)(self.cache.answered());
    }
}

/// What a cache can get wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mistake {
    None,
    /// It denies every cost because one was denied.
    IgnoresCost,
    /// It denies under another version of the policy.
    IgnoresVersions,
    /// It denies for a second, however short the wait was.
    IgnoresTheWait,
    /// It keeps denials from the store that would have been strikes.
    KeepsStrikes,
    /// It does not notice that units are given back.
    IgnoresSettling,
    /// It repeats the wait as it was told first.
    FreezesTheWait,
}

/// A cache of the simplest kind, for requests with a single charge.
struct Simple {
    store: SimpleRepository<ManualClock>,
    clock: ManualClock,
    mistake: Mistake,
    kept: Mutex<HashMap<(ClientIdentity, String), Kept>>,
}

#[derive(Clone)]
struct Kept {
    policy: Policy,
    units: u64,
    outcome: Outcome,
    sent: Timestamp,
}

impl Simple {
    fn told(&self, charge: &Charge) -> Option<Outcome> {
        let kept = self.kept.lock().unwrap().get(&key(charge)).cloned()?;
        let past = self.clock.now().nanos_since(kept.sent);
        let Wait::After(nanos) = kept.outcome.wait else { return None };
        let makes = |mistake| self.mistake == mistake;
        let same_version = makes(Mistake::IgnoresVersions) || kept.policy == *charge.policy();
        let same_cost = makes(Mistake::IgnoresCost) || kept.units == charge.units();
        let hold = if makes(Mistake::IgnoresTheWait) { u64::MAX } else { nanos };
        if !same_version || !same_cost || past >= hold.min(1_000_000_000) {
            return None;
        }
        let mut told = kept.outcome;
        told.reset_nanos = told.reset_nanos.saturating_sub(past);
        if !makes(Mistake::FreezesTheWait) {
            told.wait = Wait::After(nanos.saturating_sub(past).max(1));
        }
        // Nothing is said about what came back meanwhile.
        told.remaining = 0;
        Some(told)
    }

    fn keep(&self, charge: &Charge, outcome: &Outcome, sent: Timestamp) {
        let policy = charge.policy();
        let makes = |mistake| self.mistake == mistake;
        let strikes = policy.penalty().is_some() && outcome.verdict == PolicyVerdict::Deny;
        let settled = policy.name().as_str() == "settled";
        if !outcome.is_violated()
            || (strikes && !makes(Mistake::KeepsStrikes))
            || (settled && !makes(Mistake::IgnoresSettling))
        {
            return;
        }
        let kept = Kept { policy: policy.clone(), units: charge.units(), outcome: *outcome, sent };
        self.kept.lock().unwrap().insert(key(charge), kept);
    }
}

fn key(charge: &Charge) -> (ClientIdentity, String) {
    (charge.identity().clone(), charge.policy().bucket_name().to_owned())
}

impl RateLimitRepository for Simple {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let single = charges.get(0).filter(|_| charges.len() == 1);
        if let Some(told) = single.and_then(|charge| self.told(charge)) {
            // One that only watches would have charged nothing if it denied.
            return Answer::ready(Outcomes::one(told));
        }
        let sent = self.clock.now();
        let answer = block_on(self.store.acquire(charges));
        if answer.as_ref().is_ok_and(|outcomes| is_allowed(charges, outcomes)) {
            let mut kept = self.kept.lock().unwrap();
            charges.iter().for_each(|charge| _ = kept.remove(&key(charge)));
        }
        if let (Some(charge), Ok(outcomes)) = (single, &answer) {
            outcomes.iter().for_each(|outcome| self.keep(charge, outcome, sent));
        }
        Answer::Ready(answer)
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        self.store.settle(adjustments)
    }
}

fn simple(mistake: Mistake) -> impl Fn(SimpleRepository<ManualClock>, ManualClock) -> Arc<Simple> {
    move |store, clock| Arc::new(Simple { store, clock, mistake, kept: Mutex::default() })
}

#[test]
fn the_simplest_cache_without_a_mistake_passes() {
    differ(simple(Mistake::None)).unwrap();
}

#[test]
fn every_mistake_is_noticed() {
    for mistake in [
        Mistake::IgnoresCost,
        Mistake::IgnoresVersions,
        Mistake::IgnoresTheWait,
        Mistake::KeepsStrikes,
        Mistake::IgnoresSettling,
        Mistake::FreezesTheWait,
    ] {
        assert!(differ(simple(mistake)).is_err(), "{mistake:?} went unnoticed");
    }
}
