//! The decision over all charges of a request, as a pure function.
//!
//! Stores that run this crate's code (memory, an embedded file) bring the records of all charged
//! buckets together, under whatever lock or transaction makes that atomic, and call [`evaluate`].
//! Stores that decide elsewhere (a script in Redis) must come to the same answers; the conformance
//! suite holds them to it.

use crate::adjustment::{Adjusted, Adjustment, Change};
use crate::algorithm::{BucketRule, BucketState, Healed, Visitor, Wait};
use crate::charge::{Charge, Charges};
use crate::outcome::{Outcome, Outcomes, PolicyVerdict};
use crate::penalty::{LadderState, PenaltyLadder};
use crate::time::{Now, Timestamp};

mod packed;

pub use packed::{evaluate_packed, evaluate_packed_few};

/// What a store holds for one charge: the bucket and, if the policy has a penalty ladder, the
/// client's place on it.
///
/// A store fills in what it has, calls [`evaluate`] or [`adjust`], and writes back the parts that
/// are marked as changed.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The bucket; `None` if the store has none, which is as good as a fresh one.
    pub bucket: Option<BucketState>,
    /// The place on the penalty ladder; `None` likewise.
    pub ladder: Option<LadderState>,
    /// Whether the bucket has to be written back.
    pub bucket_changed: bool,
    /// Whether the place on the ladder has to be written back.
    pub ladder_changed: bool,
}

impl Record {
    /// What a store holds for a client it does not know.
    pub const EMPTY: Self =
        Self { bucket: None, ladder: None, bucket_changed: false, ladder_changed: false };
}

/// What a policy says before anything is taken.
#[derive(Clone, Copy)]
struct Tested {
    verdict: PolicyVerdict,
    wait: Wait,
}

/// Tests all charges against their records and takes all of them, or none.
///
/// `records` holds one record per charge, in the order of the charges; a missing one counts as
/// empty and what would have been written to it is lost, so a store passes as many as there are
/// charges. The caller makes sure that nobody else reads or writes these buckets meanwhile.
///
/// # Example: a store in a few lines
///
/// ```
/// use std::sync::Arc;
/// use rate_limit_core::{
///     Charge, Charges, ClientIdentity, Now, PolicyVerdict, RateLimitPolicy, Record, Timestamp,
///     evaluate,
/// };
///
/// let once = Arc::new(RateLimitPolicy::per_minute(1).build()?);
/// let charges: Charges = [Charge::new(ClientIdentity::GLOBAL, once, 1)].into_iter().collect();
/// let now = Now { monotonic: Timestamp::from_nanos(1), utc: Timestamp::from_nanos(1) };
///
/// let mut stored = [Record::default()];
/// let first = evaluate(&charges, &mut stored, now);
/// assert_eq!(first.get(0).map(|outcome| outcome.verdict), Some(PolicyVerdict::Admit));
/// let second = evaluate(&charges, &mut stored, now);
/// assert_eq!(second.get(0).map(|outcome| outcome.verdict), Some(PolicyVerdict::Deny));
/// # Ok::<(), rate_limit_core::PolicyError>(())
/// ```
pub fn evaluate(charges: &Charges, records: &mut [Record], now: Now) -> Outcomes {
    if let (Some(charge), 1, [record]) = (charges.get(0), charges.len(), &mut *records) {
        return Outcomes::one(evaluate_one(charge, record, now));
    }
    if records.len() < charges.len() {
        let mut padded: Vec<Record> = records.iter_mut().map(std::mem::take).collect();
        padded.resize_with(charges.len(), Record::default);
        let outcomes = evaluate(charges, &mut padded, now);
        records.iter_mut().zip(padded).for_each(|(record, padded)| *record = padded);
        return outcomes;
    }
    let (mut allowed, mut all_admit) = (true, true);
    for (charge, record) in charges.iter().zip(&mut *records) {
        if test(charge, record, now).verdict != PolicyVerdict::Admit {
            all_admit = false;
            allowed &= !charge.policy().is_enforced();
        }
    }
    let mut outcomes = Outcomes::with_capacity(charges.len());
    for (charge, record) in charges.iter().zip(records) {
        // Testing again is idempotent at the same instant, and cheaper than remembering what came
        // of it, which in nearly every request is that everything fits.
        let tested = if all_admit { Tested::ADMIT } else { test(charge, record, now) };
        outcomes.push(conclude(charge, record, now, tested, allowed));
    }
    outcomes
}

/// The decision over a single charge, which is the most common one: [`evaluate`] without the lists.
pub fn evaluate_one(charge: &Charge, record: &mut Record, now: Now) -> Outcome {
    let policy = charge.policy();
    if policy.striking_penalty().is_some() {
        let tested = test(charge, record, now);
        return conclude(charge, record, now, tested, tested.verdict == PolicyVerdict::Admit);
    }
    // A single policy without a ladder takes the units exactly if they fit, enforced or not.
    let now = now.on(policy.axis());
    let once = TestAndTake { now, units: charge.units(), allowed: true };
    let (healed, outcome) = policy.algorithm().visit(&mut record.bucket, now, once);
    record.bucket_changed |= healed == Healed::Yes || outcome.charged.is_some();
    outcome
}

/// Carries out one adjustment on its record.
pub fn adjust(adjustment: &Adjustment, record: &mut Record, now: Now) -> Adjusted {
    let Adjustment { policy, charged, units, change, .. } = adjustment;
    let now = now.on(policy.axis());
    let algorithm = policy.algorithm();
    let mut bucket = record.bucket.take().unwrap_or_else(|| algorithm.fresh(now));
    let healed = algorithm.bring_up_to_date(&mut bucket, now);
    let adjusted = match *change {
        Change::Refund(back) => Adjusted {
            returned: algorithm.refund(&mut bucket, now, *charged, *units, back.min(*units)),
            excess: 0,
        },
        Change::Add(more) => {
            Adjusted { returned: 0, excess: algorithm.add(&mut bucket, now, more) }
        }
    };
    // Even if no whole unit found room: full debt takes what was left of one.
    let added = matches!(*change, Change::Add(more) if more > 0);
    record.bucket = Some(bucket);
    record.bucket_changed |= healed == Healed::Yes || adjusted.returned > 0 || added;
    adjusted
}

/// Lets time pass and asks the policy, without taking anything.
fn test(charge: &Charge, record: &mut Record, now: Now) -> Tested {
    let policy = charge.policy();
    let at = now.on(policy.axis());
    let asking = Test { now: at, units: charge.units() };
    let (healed, wait) = policy.algorithm().visit(&mut record.bucket, at, asking);
    record.bucket_changed |= healed == Healed::Yes;
    let verdict = if wait == Wait::Now { PolicyVerdict::Admit } else { PolicyVerdict::Deny };
    let tested = Tested { verdict, wait };
    let (Some(ladder), Some(state)) = (policy.striking_penalty(), &mut record.ladder) else {
        return tested;
    };
    record.ladder_changed |= ladder.heal(state, now.monotonic);
    tested.unless_banned(PenaltyLadder::banned_nanos(state, now.monotonic))
}

/// Takes the units if the request is allowed, writes a strike if this policy denies it, and reports.
fn conclude(
    charge: &Charge,
    record: &mut Record,
    now: Now,
    mut tested: Tested,
    allowed: bool,
) -> Outcome {
    let policy = charge.policy();
    let at = now.on(policy.axis());
    if !allowed && tested.verdict == PolicyVerdict::Deny {
        tested = strike(charge, record, now, tested);
    }
    // A shadow policy without room stays untouched.
    let takes = allowed && tested.verdict == PolicyVerdict::Admit;
    let taking = Take { now: at, units: if takes { charge.units() } else { 0 } };
    let taken = policy.algorithm().visit(&mut record.bucket, at, taking);
    record.bucket_changed |= taken.charged.is_some();
    let Taken { charged, remaining, reset_nanos } = taken;
    Outcome { verdict: tested.verdict, remaining, reset_nanos, wait: tested.wait, charged }
}

/// During a ban nothing is written, and asking (zero units) is no violation, so both never get here.
fn strike(charge: &Charge, record: &mut Record, now: Now, tested: Tested) -> Tested {
    let Some(ladder) = charge.policy().striking_penalty() else {
        return tested;
    };
    let state = record.ladder.get_or_insert_default();
    record.ladder_changed = true;
    tested.unless_banned(ladder.strike(state, now.monotonic).unwrap_or(0))
}

impl Tested {
    const ADMIT: Self = Self { verdict: PolicyVerdict::Admit, wait: Wait::Now };

    /// A ban outweighs the bucket. The longer of the two waits counts, so that whoever waits as
    /// told is admitted.
    fn unless_banned(self, banned_nanos: u64) -> Self {
        match banned_nanos {
            0 => self,
            nanos => Self { verdict: PolicyVerdict::Ban, wait: self.wait.max(Wait::nanos(nanos)) },
        }
    }
}

/// Brings a state up to date and asks it.
struct Test {
    now: Timestamp,
    units: u64,
}

impl Visitor for Test {
    type Output = (Healed, Wait);

    fn visit<R: BucketRule>(self, rule: &R, state: &mut R::State) -> (Healed, Wait) {
        let healed = rule.bring_up_to_date(state, self.now);
        let wait = if self.units == 0 { Wait::Now } else { rule.wait(state, self.now, self.units) };
        (healed, wait)
    }
}

/// Takes units (none if zero) from a state that was tested, and reports.
struct Take {
    now: Timestamp,
    units: u64,
}

struct Taken {
    charged: Option<Timestamp>,
    remaining: u64,
    reset_nanos: u64,
}

impl Visitor for Take {
    type Output = Taken;

    fn visit<R: BucketRule>(self, rule: &R, state: &mut R::State) -> Taken {
        let Self { now, units } = self;
        let charged = (units > 0).then(|| rule.charge(state, now, units));
        let remaining = rule.remaining(state, now);
        Taken { charged, remaining, reset_nanos: rule.reset_nanos(state, now) }
    }
}

/// Both at once: the units are taken if they fit and the request is allowed as far as others have a
/// say.
struct TestAndTake {
    now: Timestamp,
    units: u64,
    allowed: bool,
}

impl Visitor for TestAndTake {
    type Output = (Healed, Outcome);

    #[allow(clippy::inline_always, reason = "measured: what it answers is not copied")]
    #[inline(always)]
    fn visit<R: BucketRule>(self, rule: &R, state: &mut R::State) -> (Healed, Outcome) {
        let Self { now, units, allowed } = self;
        rule.test_and_take(state, now, units, if allowed { units } else { 0 })
    }
}
