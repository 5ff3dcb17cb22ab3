//! Decisions about buckets that are known and lie in the table, which nearly every request is about:
//! [`Store::transact`] without lists, records and room for what is new.

use rate_limit_core::{
    Charge, Clock, Outcome, PackedState, TimeAxis, Timestamp, evaluate_packed, evaluate_packed_few,
};

use crate::group::{Group, Version, Writing};
use crate::key::Key;
use crate::store::Store;
use crate::sync::Backoff;
use crate::table::Found;

impl<C: Clock> Store<C> {
    /// Decides a single charge on a bucket that lies in its first group, which nobody is writing:
    /// what nearly every request finds. `None` if it is otherwise, and then nothing was done.
    #[inline]
    pub(crate) fn decide_at_once(&self, charge: &Charge, key: Key) -> Option<Outcome> {
        let home = self.table.home(key);
        let group = self.table.group(home.first);
        // The bucket is on its way while the clock is read; see `group` for why that is right.
        group.fetch();
        let axis = charge.policy().axis();
        let now = self.now(axis);
        let version = group.version_if_free()?;
        if version.is_after(now.monotonic) {
            return None;
        }
        let slot = group.find(home.tag)?;
        let (outcome, changed) = evaluate_packed(charge, Some(group.state(slot)), now.on(axis))?;
        conclude(group, version, slot, changed, now.monotonic).then_some(outcome)
    }

    /// Decides a single charge on a bucket that is known and lies in the table: looks into both of
    /// its groups, waits for whoever writes, and begins anew if something has changed meanwhile.
    /// `None` if it is not such a bucket, and then nothing was done.
    pub(crate) fn decide_known(&self, charge: &Charge, key: Key) -> Option<Outcome> {
        let home = self.table.home(key);
        let axis = charge.policy().axis();
        let mut backoff = Backoff::default();
        loop {
            let mut now = self.now(axis);
            let Found { group, spot, version } = self.table.find(home).ok()?;
            if version.is_after(now.monotonic) {
                now = self.now(axis);
            }
            let stored = group.state(spot.slot);
            let (outcome, changed) = evaluate_packed(charge, Some(stored), now.on(axis))?;
            if conclude(group, version, spot.slot, changed, now.monotonic) {
                return Some(outcome);
            }
            backoff.wait();
        }
    }

    /// Decides `N` charges on buckets that are known and lie in the table, each in a group of its own:
    /// [`decide_known`](Self::decide_known) for several charges. `None` if it is otherwise, or if
    /// something has changed meanwhile, and then nothing was done: the general way takes groups in
    /// ascending order, so that of several calls that want the same ones one gets all of them.
    // Inlined, and without a second try, because then nothing of it has to lie in memory.
    #[allow(clippy::inline_always, reason = "measured: a third of a decision on two policies")]
    #[inline(always)]
    pub(crate) fn decide_few_known<const N: usize>(
        &self,
        charges: [&Charge; N],
        keys: [Key; N],
    ) -> Option<[Outcome; N]> {
        let homes = keys.map(|key| self.table.home(key));
        homes.iter().for_each(|home| self.table.group(home.first).fetch());
        let is_utc = homes.iter().any(|home| home.tag.axis() == TimeAxis::Utc);
        let axis = if is_utc { TimeAxis::Utc } else { TimeAxis::Monotonic };
        let (mut now, mut is_after) = (self.now(axis), false);
        let (mut found, mut stored) = ([None; N], [None; N]);
        for (home, (found, stored)) in homes.iter().zip(found.iter_mut().zip(&mut stored)) {
            let Found { group, spot, version } = self.table.find(*home).ok()?;
            is_after |= version.is_after(now.monotonic);
            *stored = Some(group.state(spot.slot));
            *found = Some(Known { group, version, slot: spot.slot });
        }
        if is_after {
            now = self.now(axis);
        }
        let decided = evaluate_packed_few(charges, stored, now)?;
        conclude_few(&found, &decided, now.monotonic).then(|| decided.map(|(outcome, _)| outcome))
    }
}

/// A bucket that was found, and the version of its group before it was looked for.
#[derive(Clone, Copy)]
struct Known<'t> {
    group: Group<'t>,
    version: Version,
    slot: usize,
}

/// Writes the state that a bucket is to have, if any, provided that its group is still as it was
/// under `version`. Says whether it was.
#[inline]
fn conclude(
    group: Group<'_>,
    version: Version,
    slot: usize,
    changed: Option<PackedState>,
    at: Timestamp,
) -> bool {
    match changed {
        None => group.is_still(version),
        Some(state) => {
            group.try_write(version).map(|mut writing| writing.set_state(slot, state, at)).is_some()
        }
    }
}

/// [`conclude`] for several buckets: writes those that are to change, provided that the groups of all
/// of them are still as they were, and that no two of them are the same.
#[allow(clippy::inline_always, reason = "measured: a tenth of a decision on two policies")]
#[inline(always)]
fn conclude_few<const N: usize>(
    found: &[Option<Known<'_>>; N],
    decided: &[(Outcome, Option<PackedState>); N],
    at: Timestamp,
) -> bool {
    if decided.iter().all(|(_, changed)| changed.is_none()) {
        return found.iter().flatten().all(|one| one.group.is_still(one.version));
    }
    // All groups are taken before any is written, in whatever order, since nobody waits for one here.
    // A group that is wanted twice cannot be had twice.
    let mut held = [const { None::<Writing<'_>> }; N];
    for (one, held) in found.iter().zip(&mut held) {
        *held = one.and_then(|one| one.group.try_write(one.version));
        if held.is_none() {
            return false;
        }
    }
    for ((one, (_, changed)), writing) in found.iter().zip(decided).zip(&mut held) {
        if let (Some(one), Some(state), Some(writing)) = (one, changed, writing) {
            writing.set_state(one.slot, *state, at);
        }
    }
    true
}
