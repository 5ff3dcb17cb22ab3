//! Between the store and the records that the domain decides on.
//!
//! What fits lies packed in a slot; what does not (a log, a place on a penalty ladder) lies in the
//! side table, and its slot only says when it may be forgotten.

use rate_limit_core::{Algorithm, BucketState, Clock, LadderState, Now, Record, TimeAxis};

use crate::shard::Shard;
use crate::slot::{Packed, Slot, Unpacked};
use crate::store::{Locked, Place, Store};

/// What does not fit a slot.
#[derive(Clone, Debug)]
pub(crate) enum Aside {
    Bucket(BucketState),
    Ladder(LadderState),
}

/// A place and where it was found under the locks.
pub(crate) struct Found<'p, 'a> {
    pub(crate) place: &'p Place<'a>,
    /// Index into the locked shards.
    pub(crate) locked: usize,
    bucket: Option<u32>,
    ladder: Option<u32>,
}

impl<C: Clock> Store<C> {
    /// Takes what there is out of the store, so that a log is moved and not copied.
    pub(crate) fn take_record(&self, locked: &Locked<'_>, found: &Found<'_, '_>) -> Record {
        let Found { place, locked: index, .. } = found;
        let slot = found.bucket.and_then(|number| locked.get(*index)?.1.slot(number));
        let bucket = slot.and_then(|slot| match slot.packed.unpack(place.policy.algorithm()) {
            Unpacked::Here(state) => Some(state),
            Unpacked::InSideTable => match self.side.remove(&place.bucket) {
                Some((_, Aside::Bucket(state))) => Some(state),
                _ => None,
            },
        });
        let ladder =
            found.ladder.and(place.ladder).and_then(|key| match self.side.get(&key).as_deref() {
                Some(Aside::Ladder(state)) => Some(*state),
                _ => None,
            });
        Record { bucket, ladder, ..Record::default() }
    }

    /// Stores a bucket if it has changed. Returns how much of the reserved room it used.
    pub(crate) fn put_bucket(
        &self,
        shard: &mut Shard,
        found: &Found<'_, '_>,
        state: Option<BucketState>,
        changed: bool,
        now: Now,
    ) -> usize {
        let algorithm = found.place.policy.algorithm();
        let (key, axis) = (found.place.bucket, algorithm.axis());
        let Some(state) = state else {
            return 0;
        };
        match Packed::new(algorithm, &state) {
            Some(packed) if changed => {
                let slot = Slot::new(key, packed, axis, 1);
                self.put_slot(shard, found.bucket, slot, now)
            }
            Some(_) => 0,
            // What lies aside was taken out and has to go back, changed or not.
            None if changed || found.bucket.is_some() => {
                let slot = Slot::aside(key, algorithm.full_at(&state), axis, weight(&state));
                self.side.insert(key, Aside::Bucket(state));
                self.put_slot(shard, found.bucket, slot, now)
            }
            None => 0,
        }
    }

    /// Stores a place on a penalty ladder. Returns how much of the reserved room it used.
    pub(crate) fn put_ladder(
        &self,
        shard: &mut Shard,
        found: &Found<'_, '_>,
        state: Option<LadderState>,
        now: Now,
    ) -> usize {
        let place = found.place;
        let (Some(key), Some(state), Some(ladder)) = (place.ladder, state, place.policy.penalty())
        else {
            return 0;
        };
        self.side.insert(key, Aside::Ladder(state));
        let slot = Slot::aside(key, ladder.forgotten_at(&state), TimeAxis::Monotonic, 1);
        self.put_slot(shard, found.ladder, slot, now)
    }

    /// Overwrites the slot at `number`, or adds one. Returns by how much the room it takes has
    /// grown.
    fn put_slot(&self, shard: &mut Shard, number: Option<u32>, mut new: Slot, now: Now) -> usize {
        let Some((number, slot)) = number.and_then(|n| Some((n, shard.slot_mut(n)?))) else {
            let weight = new.weight.into();
            new.queued_at = new.forgettable_at(now);
            shard.insert(new);
            return weight;
        };
        let before = std::mem::replace(&mut slot.weight, new.weight);
        slot.packed = new.packed;
        if slot.forgettable_at(now) < slot.queued_at {
            shard.requeue(number, now);
        }
        if new.weight < before {
            self.release(usize::from(before - new.weight));
        }
        usize::from(new.weight.saturating_sub(before))
    }
}

/// Looks up a place under the locks.
pub(crate) fn find<'p, 'a>(locked: &Locked<'_>, place: &'p Place<'a>) -> Found<'p, 'a> {
    let index = locked.iter().position(|(number, _)| *number == place.shard).unwrap_or_default();
    let find = |key| locked.get(index)?.1.find(key);
    Found { place, locked: index, bucket: find(place.bucket), ladder: place.ladder.and_then(find) }
}

impl Found<'_, '_> {
    /// The room that is needed if what is missing comes into being and a log grows by an entry.
    pub(crate) fn room_wanted(&self) -> usize {
        let grows = matches!(self.place.policy.algorithm(), Algorithm::SlidingLog(_));
        usize::from(self.bucket.is_none() || grows)
            + usize::from(self.place.ladder.is_some() && self.ladder.is_none())
    }
}

/// The entries of a log count towards the cap; everything else counts once.
fn weight(state: &BucketState) -> u16 {
    match state {
        BucketState::SlidingLog(log) => {
            u16::try_from(log.entries().len()).unwrap_or(u16::MAX).max(1)
        }
        _ => 1,
    }
}
