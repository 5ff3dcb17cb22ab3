//! Decisions about buckets that are known and lie in the table, which nearly every request is about:
//! [`Store::transact`] without lists, records and room for what is new.

use rate_limit_core::{
    Charge, Charges, Clock, Outcome, Outcomes, PackedRecord, PackedState, TimeAxis, Timestamp,
    evaluate_packed, evaluate_packed_all,
};

use crate::group::{Group, Version, Writing};
use crate::key::Key;
use crate::store::Store;
use crate::sync::Backoff;
use crate::table::Found;

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
    /// for each: what [`decide_known`](Self::decide_known) is for one charge. `None` if not all of
    /// them are such buckets, and then nothing was done.
    #[inline]
    pub(crate) fn decide_few_known(&self, charges: &Charges, keys: &[Key]) -> Option<Outcomes> {
        let is_utc = charges.count_on(TimeAxis::Utc);
        let axis = if is_utc { TimeAxis::Utc } else { TimeAxis::Monotonic };
        keys.iter().for_each(|key| self.table.group(self.table.home(*key).first).fetch());
        let mut backoff = Backoff::default();
        loop {
            let mut now = self.now(axis);
            let (mut all_found, mut all_records) = ([None; FEW], [PackedRecord::default(); FEW]);
            for (key, (found, record)) in
                keys.iter().zip(all_found.iter_mut().zip(&mut all_records))
            {
                let bucket = self.table.find(self.table.home(*key)).ok()?;
                record.stored = bucket.group.state(bucket.spot.slot);
                *found = Some(bucket);
            }
            let records = all_records.get_mut(..keys.len())?;
            if all_found.iter().flatten().any(|one| one.version.is_after(now.monotonic)) {
                now = self.now(axis);
            }
            let outcomes = evaluate_packed_all(charges, records, now)?;
            let is_done = if records.iter().all(|record| record.changed.is_none()) {
                all_found.iter().flatten().all(|one| one.group.is_still(one.version))
            } else {
                write_few(&all_found, records, now.monotonic)
            };
            if is_done {
                return Some(outcomes);
            }
            backoff.wait();
        }
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
fn write_few(found: &[Option<Found<'_>>; FEW], records: &[PackedRecord], at: Timestamp) -> bool {
    // Ascending, so that of several calls that want the same groups one gets all of them. A group
    // that was seen under two versions is wanted under the older one, and cannot be had.
    let mut ascending = *found;
    ascending.sort_unstable_by_key(|one| one.map(|one| (one.spot.group, one.version)));
    let mut held = [const { None::<Writing<'_>> }; FEW];
    let mut last = None;
    for (one, held) in ascending.into_iter().flatten().zip(&mut held) {
        if last.replace(one.spot.group) != Some(one.spot.group) {
            *held = one.group.try_write(one.version);
            if held.is_none() {
                return false;
            }
        }
    }
    for (one, record) in found.iter().flatten().zip(records) {
        let writing = held.iter_mut().flatten().find(|writing| writing.group.is(one.group));
        if let (Some(state), Some(writing)) = (record.changed, writing) {
            writing.set_state(one.spot.slot, state, at);
        }
    }
    true
}
