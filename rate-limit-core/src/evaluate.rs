//! The decision over all charges of a request, as a pure function.
//!
//! Stores that run this crate's code (memory, an embedded file) bring the records of all charged
//! buckets together, under whatever lock or transaction makes that atomic, and call [`evaluate`].
//! Stores that decide elsewhere (a script in Redis) must come to the same answers; the conformance
//! suite holds them to it.

use crate::adjustment::{Adjusted, Adjustment, Change};
use crate::algorithm::{BucketState, Healed, Wait};
use crate::charge::{Charge, Charges};
use crate::outcome::{Outcome, Outcomes, PolicyVerdict};
use crate::penalty::{LadderState, PenaltyLadder};
use crate::policy::RateLimitPolicy;
use crate::time::{Now, Timestamp};

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

/// One charge together with its record, brought up to date.
struct Case<'a> {
    charge: &'a Charge,
    policy: &'a RateLimitPolicy,
    now: Timestamp,
    ladder_now: Timestamp,
    record: &'a mut Record,
    wait: Wait,
    verdict: PolicyVerdict,
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
#[inline]
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
    let mut allowed = true;
    for (charge, record) in charges.iter().zip(&mut *records) {
        allowed &= Case::open(charge, record, now).does_not_object();
    }
    // Opening a case a second time is idempotent at the same instant, and cheaper than keeping
    // all cases open in an allocation.
    charges
        .iter()
        .zip(records)
        .map(|(charge, record)| Case::open(charge, record, now).close(allowed))
        .collect()
}

/// The decision over a single charge, which is the most common one: [`evaluate`] without the lists.
#[inline]
pub fn evaluate_one(charge: &Charge, record: &mut Record, now: Now) -> Outcome {
    let case = Case::open(charge, record, now);
    let allowed = case.does_not_object();
    case.close(allowed)
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

impl<'a> Case<'a> {
    /// Lets time pass and asks the policy, without taking anything.
    fn open(charge: &'a Charge, record: &'a mut Record, now: Now) -> Self {
        let policy = charge.policy().as_ref();
        let ladder_now = now.monotonic;
        let now = now.on(policy.axis());
        let algorithm = policy.algorithm();
        let bucket = record.bucket.get_or_insert_with(|| algorithm.fresh(now));
        record.bucket_changed |= algorithm.bring_up_to_date(bucket, now) == Healed::Yes;
        let wait = match charge.units() {
            0 => Wait::Now,
            units => algorithm.wait(bucket, now, units),
        };
        let mut case =
            Self { charge, policy, now, ladder_now, record, wait, verdict: PolicyVerdict::Admit };
        if wait != Wait::Now {
            case.verdict = PolicyVerdict::Deny;
        }
        case.consult_ladder();
        case
    }

    /// A ban outweighs the bucket.
    fn consult_ladder(&mut self) {
        let (Some(ladder), Some(state)) = (self.ladder(), &mut self.record.ladder) else {
            return;
        };
        self.record.ladder_changed |= ladder.heal(state, self.ladder_now);
        let banned_nanos = PenaltyLadder::banned_nanos(state, self.ladder_now);
        if banned_nanos > 0 {
            self.ban(banned_nanos);
        }
    }

    fn ban(&mut self, nanos: u64) {
        self.verdict = PolicyVerdict::Ban;
        // The longer of the two, so that whoever waits as told is admitted.
        self.wait = self.wait.max(Wait::nanos(nanos));
    }

    /// The policy's ladder; a policy in shadow has none.
    fn ladder(&self) -> Option<&'a PenaltyLadder> {
        self.policy.penalty().filter(|_| self.policy.is_enforced())
    }

    fn does_not_object(&self) -> bool {
        self.verdict == PolicyVerdict::Admit || !self.policy.is_enforced()
    }

    /// Takes the units if the request is allowed, writes a strike if this policy denies it, and
    /// reports.
    fn close(mut self, allowed: bool) -> Outcome {
        let charged = if allowed { self.charge() } else { None };
        if !allowed {
            self.strike();
        }
        let (remaining, reset_nanos) = match &self.record.bucket {
            Some(bucket) => (
                self.policy.algorithm().remaining(bucket, self.now),
                self.policy.algorithm().reset_nanos(bucket, self.now),
            ),
            None => (self.policy.capacity(), 0),
        };
        Outcome { verdict: self.verdict, remaining, reset_nanos, wait: self.wait, charged }
    }

    /// A shadow policy without room stays untouched.
    fn charge(&mut self) -> Option<Timestamp> {
        let units = self.charge.units();
        if units == 0 || self.verdict != PolicyVerdict::Admit {
            return None;
        }
        let bucket = self.record.bucket.as_mut()?;
        self.record.bucket_changed = true;
        Some(self.policy.algorithm().charge(bucket, self.now, units))
    }

    /// During a ban nothing is written, and asking (zero units) is no violation.
    fn strike(&mut self) {
        let Some(ladder) = self.ladder() else {
            return;
        };
        if self.verdict != PolicyVerdict::Deny || self.charge.units() == 0 {
            return;
        }
        let state = self.record.ladder.get_or_insert_default();
        self.record.ladder_changed = true;
        if let Some(nanos) = ladder.strike(state, self.ladder_now) {
            self.ban(nanos);
        }
    }
}
