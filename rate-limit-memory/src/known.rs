//! Decisions about buckets that are known and lie in the table, which nearly every request is about:
//! [`Store::transact`] without lists, records and room for what is new.

use rate_limit_core::{
    Charge, Charges, Clock, Outcome, Outcomes, PackedRecord, PackedState, TimeAxis, Timestamp,
    evaluate_packed, evaluate_packed_all,
};

use smallvec::SmallVec;

use crate::group::{Group, Version, Writing};
use crate::key::Key;
use crate::store::Store;
use crate::sync::Backoff;
use crate::table::{Found, Home};

/// So many charges are decided here; more of them are rare enough for lists.
pub(crate) const FEW: usize = 4;

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

    /// Decides up to [`FEW`] charges on buckets that are all known and lie in the table, with one key
    /// for each: what [`decide_known`](Self::decide_known) is for one charge. `false` if not all of
    /// them are such buckets; nothing was done then, and `outcomes` is no answer.
    #[inline]
    pub(crate) fn decide_few_known(
        &self,
        charges: &Charges,
        keys: &[Key],
        outcomes: &mut Outcomes,
    ) -> bool {
        let (mut homes, mut axis) = (SmallVec::<[Home; FEW]>::new(), TimeAxis::Monotonic);
        for key in keys {
            let home = self.table.home(*key);
            self.table.group(home.first).fetch();
            if home.tag.axis() == TimeAxis::Utc {
                axis = TimeAxis::Utc;
            }
            homes.push(home);
        }
        let (mut asked, mut backoff) = (SmallVec::<[Asked<'_>; FEW]>::new(), Backoff::default());
        loop {
            let (mut now, mut is_after) = (self.now(axis), false);
            asked.clear();
            for home in &homes {
                let Ok(found) = self.table.find(*home) else {
                    return false;
                };
                let stored = found.group.state(found.spot.slot);
                is_after |= found.version.is_after(now.monotonic);
                asked.push(Asked { found, record: PackedRecord { stored, changed: None } });
            }
            if is_after {
                now = self.now(axis);
            }
            if !evaluate_packed_all(charges, &mut asked, now, outcomes) {
                return false;
            }
            let is_done = if asked.iter().all(|one| one.record.changed.is_none()) {
                asked.iter().all(|one| one.found.group.is_still(one.found.version))
            } else {
                write_few(&mut asked, now.monotonic)
            };
            if is_done {
                return true;
            }
            backoff.wait();
        }
    }
}

/// One of several buckets that are decided on.
struct Asked<'t> {
    found: Found<'t>,
    record: PackedRecord,
}

impl AsMut<PackedRecord> for Asked<'_> {
    #[inline]
    fn as_mut(&mut self) -> &mut PackedRecord {
        &mut self.record
    }
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

/// Writes what has changed into the groups of buckets that were found, if none of these groups has
/// changed since. Says whether it did.
#[inline]
fn write_few(asked: &mut [Asked<'_>], at: Timestamp) -> bool {
    // Ascending, so that of several calls that want the same groups one gets all of them. A group
    // that was seen under two versions is wanted under the older one, and cannot be had.
    asked.sort_unstable_by_key(|one| (one.found.spot.group, one.found.version));
    let mut held = SmallVec::<[Writing<'_>; FEW]>::new();
    for Asked { found, .. } in &*asked {
        if held.last().is_none_or(|last| !last.group.is(found.group)) {
            match found.group.try_write(found.version) {
                Some(writing) => held.push(writing),
                None => return false,
            }
        }
    }
    for Asked { found, record } in asked {
        let writing = held.iter_mut().find(|writing| writing.group.is(found.group));
        if let (Some(state), Some(writing)) = (record.changed, writing) {
            writing.set_state(found.spot.slot, state, at);
        }
    }
    true
}
