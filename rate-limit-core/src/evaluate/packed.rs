//! The decision on states that lie packed, for stores that keep what has a fixed size in words.

use super::TestAndTake;
use crate::algorithm::Healed;
use crate::charge::Charge;
use crate::outcome::Outcome;
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

/// The decision over `N` charges on states that lie packed: [`evaluate`](super::evaluate) without
/// records and lists, for stores that keep what has a fixed size in words.
///
/// All is as for one charge, see [`evaluate_packed`], with one state and one answer for each charge in
/// their order. `None` if one of the policies needs more than that; nothing is to be stored then.
///
/// # Example: a request that one policy denies takes nothing from the other
///
/// ```
/// use std::sync::Arc;
/// use rate_limit_core::{
///     Charge, ClientIdentity, Now, RateLimitPolicy, Timestamp, evaluate_packed_few,
/// };
///
/// let policy = |name: &str, limit| RateLimitPolicy::per_minute(limit).named(name).build();
/// let policies = [policy("many", 9)?, policy("few", 1)?];
/// let charges = policies.map(|policy| Charge::new(ClientIdentity::GLOBAL, Arc::new(policy), 1));
/// let now = Now { monotonic: Timestamp::from_nanos(1), utc: Timestamp::from_nanos(1) };
///
/// let first = evaluate_packed_few(charges.each_ref(), [None; 2], now).ok_or("both are packed")?;
/// let [(many, taken_of_many), (few, taken_of_few)] = first;
/// assert!(many.charged.is_some() && few.charged.is_some());
///
/// let stored = [taken_of_many, taken_of_few];
/// let second = evaluate_packed_few(charges.each_ref(), stored, now).ok_or("as before")?;
/// let [(many, nothing_of_many), (few, nothing_of_few)] = second;
/// assert!(!many.is_violated() && few.is_violated());
/// assert!(nothing_of_many.is_none() && nothing_of_few.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Always, because with a number that is known nothing of it has to lie in memory.
#[allow(clippy::inline_always, reason = "measured: a third of a decision on two policies")]
#[inline(always)]
pub fn evaluate_packed_few<const N: usize>(
    charges: [&Charge; N],
    stored: [Option<PackedState>; N],
    now: Now,
) -> Option<[(Outcome, Option<PackedState>); N]> {
    let mut decided = [(Outcome::MISSING, None); N];
    let (mut allowed, mut taken) = (true, false);
    for ((charge, stored), place) in charges.into_iter().zip(stored).zip(&mut decided) {
        let (outcome, changed) = decide(charge, stored, now.on(charge.policy().axis()), allowed)?;
        allowed &= !outcome.is_violated() || !charge.policy().is_enforced();
        taken |= outcome.charged.is_some();
        *place = (outcome, changed);
    }
    if taken && !allowed {
        for ((charge, stored), place) in charges.into_iter().zip(stored).zip(&mut decided) {
            if place.0.charged.is_some() {
                *place = without_taking(charge, stored, now)?;
            }
        }
    }
    Some(decided)
}

/// Whoever was asked before the first that says no has taken its units, and is asked again at the same
/// instant without taking any.
#[inline(never)]
fn without_taking(
    charge: &Charge,
    stored: Option<PackedState>,
    now: Now,
) -> Option<(Outcome, Option<PackedState>)> {
    decide(charge, stored, now.on(charge.policy().axis()), false)
}

/// The decision over one charge, perhaps of several: it is `allowed` unless one before it was denied.
// Always, because it is what the two above are made of.
#[allow(clippy::inline_always, reason = "see `evaluate_packed`")]
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
