//! The table: a fixed number of sets, each with a lock and room for a few entries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rate_limit_core::{Charge, Timestamp};

use super::entry::{Entry, Known};
use super::renewal::{self, Renewal, Renewing};

/// A power of two, so that a mask picks the set.
const SETS: usize = 1_024;
/// Together 8,192 entries, which is about a megabyte.
const WAYS: usize = 8;

/// Entries by the number of their bucket. It never grows beyond its size.
pub(super) struct Table {
    sets: Box<[Mutex<Set>]>,
    epoch: AtomicU64,
}

/// Rises when buckets are forgotten, so that denials from before are not remembered.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Epoch(u64);

/// At most [`WAYS`] entries. Held for a few comparisons, never while anything is awaited.
#[derive(Default)]
struct Set(Vec<Place>);

struct Place {
    bucket: u128,
    entry: Entry,
    renewing: Option<Renewing>,
}

impl Table {
    pub(super) fn new() -> Self {
        let sets = (0..SETS).map(|_| Mutex::default()).collect();
        Self { sets, epoch: AtomicU64::new(0) }
    }

    pub(super) fn epoch(&self) -> Epoch {
        // Acquire, to see what was forgotten by whoever made it rise.
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// What can be said of `charge`.
    pub(super) fn find(&self, bucket: u128, charge: &Charge, now: Timestamp) -> Known {
        let set = self.set(bucket);
        set.place(bucket).map_or(Known::Nothing, |place| place.entry.tell(charge, now))
    }

    /// Takes over the task of asking the store again, or tells who has it.
    pub(super) fn renew(&self, bucket: u128) -> Result<Renewal, Renewing> {
        let mut set = self.set(bucket);
        let (renewal, renewing) = renewal::begin();
        // Without the entry, which has just been forgotten, nobody else asks in its name.
        if let Some(place) = set.0.iter_mut().find(|place| place.bucket == bucket) {
            match &place.renewing {
                Some(renewing) if renewing.is_under_way() => return Err(renewing.clone()),
                _ => place.renewing = Some(renewing),
            }
        }
        Ok(renewal)
    }

    /// Puts an entry into its set, unless something was forgotten since `epoch` or it is not true
    /// any more, which is asked under the lock of the set.
    pub(super) fn put(
        &self,
        bucket: u128,
        entry: Entry,
        epoch: Epoch,
        still_true: impl FnOnce() -> bool,
    ) {
        let mut set = self.set(bucket);
        if self.epoch() == epoch && still_true() {
            set.put(Place { bucket, entry, renewing: None });
        }
    }

    /// Removes an entry that turned out to be wrong.
    pub(super) fn remove(&self, bucket: u128) {
        self.set(bucket).0.retain(|place| place.bucket != bucket);
    }

    /// Removes an entry and makes sure that no denial from before brings it back.
    pub(super) fn forget(&self, bucket: u128) {
        // Before the set is locked: whoever puts an entry there after this one is removed sees it.
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.remove(bucket);
    }

    /// Removes all entries.
    pub(super) fn clear(&self) {
        for set in &self.sets {
            lock(set).0.clear();
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "a set number needs few of the bits")]
    #[allow(clippy::indexing_slicing, reason = "the mask is below the number of sets")]
    fn set(&self, bucket: u128) -> MutexGuard<'_, Set> {
        lock(&self.sets[bucket as usize & (SETS - 1)])
    }
}

/// A panic elsewhere leaves whole entries behind, so a poisoned lock is as good as any.
fn lock(set: &Mutex<Set>) -> MutexGuard<'_, Set> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Set {
    fn place(&self, bucket: u128) -> Option<&Place> {
        self.0.iter().find(|place| place.bucket == bucket)
    }

    fn put(&mut self, place: Place) {
        if let Some(present) = self.0.iter_mut().find(|present| present.bucket == place.bucket) {
            if !present.entry.outranks(&place.entry) {
                *present = place;
            }
            return;
        }
        if self.0.len() < WAYS {
            self.0.push(place);
            return;
        }
        // Whoever ends first has the least to lose.
        if let Some(first) = self.0.iter_mut().min_by_key(|present| present.entry.holds_until()) {
            *first = place;
        }
    }
}

#[cfg(test)]
mod tests;
