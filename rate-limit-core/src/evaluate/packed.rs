//! The decision on states that lie packed, for stores that keep what has a fixed size in words.

use super::TestAndTake;
use crate::algorithm::Healed;
use crate::charge::{Charge, Charges};
use crate::outcome::{Outcome, Outcomes};
use crate::packed::PackedState;
use crate::time::{Now, Timestamp};

/// The decision over a single charge on a state that lies packed:
/// [`evaluate_one`](super::evaluate_one) without a record,
/// for stores that keep what has a fixed size in words.
///
/// `stored` is `None` if the store has no state, and `now` is the instant on the axis of the charge's
/// policy. The answer comes with the state that has to be stored, or `None` if it stays as it is,
/// which is so for every denial of a sound state. `None` as a whole if the policy needs more than
/// that: it has a penalty ladder, or its state has no fixed size.
///
/// # Example: a denial has nothing to store
///
/// ```
/// use rate_limit_core::{Charge, ClientIdentity, RateLimitPolicy, Timestamp, evaluate_packed};
///
/// let once = RateLimitPolicy::per_minute(1).build()?;
/// let charge = Charge::new(ClientIdentity::GLOBAL, once.into(), 1);
/// let now = Timestamp::from_nanos(1);
///
/// let (first, taken) = evaluate_packed(&charge, None, now).ok_or("a token bucket is packed")?;
/// assert!(!first.is_violated() && taken.is_some());
/// let (second, unchanged) = evaluate_packed(&charge, taken, now).ok_or("as before")?;
/// assert!(second.is_violated() && unchanged.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Always, because it is most of a decision, and what it answers is large to hand back.
#[allow(clippy::inline_always, reason = "measured: a tenth of a decision")]
#[inline(always)]
pub fn evaluate_packed(
    charge: &Charge,
    stored: Option<PackedState>,
    now: Timestamp,
) -> Option<(Outcome, Option<PackedState>)> {
    decide(charge, stored, now, true)
}

/// The packed state of the bucket of one charge, and what is to become of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PackedRecord {
    /// What the store holds.
    pub stored: PackedState,
    /// What the store is to hold after the decision; `None` if nothing changes.
    pub changed: Option<PackedState>,
}

impl AsMut<Self> for PackedRecord {
    #[inline]
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

/// The decision over several charges on states that lie packed, with one record for each charge in
/// their order: [`evaluate`](super::evaluate) without anything that has to be dropped or moved. A
/// store may keep each record in something of its own.
///
/// The answer replaces what is in `outcomes`, because it is large to hand back. `false` if one of the
/// policies needs more than two words, see [`evaluate_packed`], or if there are fewer records than
/// charges; nothing in the records is to be stored then, and `outcomes` is no answer.
///
/// # Example: a request that one policy denies takes nothing from the other
///
/// ```
/// use std::sync::Arc;
/// use rate_limit_core::{
///     Charge, Charges, ClientIdentity, Now, Outcomes, PackedRecord, RateLimitPolicy, Timestamp,
///     evaluate_packed_all,
/// };
///
/// let policy = |name: &str, limit| RateLimitPolicy::per_minute(limit).named(name).build();
/// let (few, many) = (Arc::new(policy("few", 1)?), Arc::new(policy("many", 9)?));
/// let charges: Charges = [few, many]
///     .into_iter()
///     .map(|policy| Charge::new(ClientIdentity::GLOBAL, policy, 1))
///     .collect();
/// let now = Now { monotonic: Timestamp::from_nanos(1), utc: Timestamp::from_nanos(1) };
///
/// let mut records = [PackedRecord::default(); 2];
/// let mut outcomes = Outcomes::with_capacity(2);
/// assert!(evaluate_packed_all(&charges, &mut records, now, &mut outcomes));
/// assert!(outcomes.iter().all(|outcome| outcome.charged.is_some()));
///
/// let store = |one: PackedRecord| PackedRecord {
///     stored: one.changed.unwrap_or(one.stored),
///     changed: None,
/// };
/// let mut records = records.map(store);
/// assert!(evaluate_packed_all(&charges, &mut records, now, &mut outcomes));
/// assert!(outcomes.iter().all(|outcome| outcome.charged.is_none()));
/// assert!(records.iter().all(|one| one.changed.is_none()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[inline]
pub fn evaluate_packed_all(
    charges: &Charges,
    records: &mut [impl AsMut<PackedRecord>],
    now: Now,
    outcomes: &mut Outcomes,
) -> bool {
    if records.len() < charges.len() {
        return false;
    }
    outcomes.clear();
    let (mut allowed, mut taken) = (true, false);
    for (charge, record) in charges.iter().zip(&mut *records) {
        let (record, at) = (record.as_mut(), now.on(charge.policy().axis()));
        let Some((outcome, changed)) = decide(charge, Some(record.stored), at, allowed) else {
            return false;
        };
        allowed &= !outcome.is_violated() || !charge.policy().is_enforced();
        taken |= outcome.charged.is_some();
        record.changed = changed;
        outcomes.push(outcome);
    }
    if taken && !allowed {
        take_nothing(charges, records, now, outcomes);
    }
    true
}

/// Those who were asked before the first that says no have taken their units. They are asked again,
/// at the same instant, without taking any.
fn take_nothing(
    charges: &Charges,
    records: &mut [impl AsMut<PackedRecord>],
    now: Now,
    outcomes: &mut Outcomes,
) {
    for ((charge, record), outcome) in charges.iter().zip(records).zip(outcomes.iter_mut()) {
        if outcome.charged.is_none() {
            continue;
        }
        let (record, at) = (record.as_mut(), now.on(charge.policy().axis()));
        if let Some((asked, changed)) = decide(charge, Some(record.stored), at, false) {
            (*outcome, record.changed) = (asked, changed);
        }
    }
}

/// One charge of several; `allowed` unless another one has been denied before.
#[allow(clippy::inline_always, reason = "measured: a tenth of a decision")]
#[inline(always)]
fn decide(
    charge: &Charge,
    stored: Option<PackedState>,
    now: Timestamp,
    allowed: bool,
) -> Option<(Outcome, Option<PackedState>)> {
    let policy = charge.policy();
    if policy.striking_penalty().is_some() {
        return None;
    }
    let once = TestAndTake { now, units: charge.units(), allowed };
    let ((healed, outcome), state) = policy.algorithm().visit_packed(stored, now, once)?;
    let changed = healed == Healed::Yes || outcome.charged.is_some();
    Some((outcome, changed.then_some(state)))
}
