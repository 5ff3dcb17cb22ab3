//! Decisions in which the side table takes part.
//!
//! The shards of the side table are locked first, then all groups of the table in which buckets of
//! the call may lie, each in ascending order. Then everything stands still, and the caller decides
//! once: a log is moved out of its place for that, and not copied.

use rate_limit_core::{Clock, Now, Record, TimeAxis};
use smallvec::SmallVec;

use crate::held::{Held, Seen};
use crate::key::Key;
use crate::side::{Entry, LockedShards, Shard};
use crate::store::{Place, Reading, Records, Store};
use crate::sync::Backoff;
use crate::table::Spot;

impl<C: Clock> Store<C> {
    /// [`transact`](Self::transact) for calls of which something lies aside.
    pub(crate) fn transact_aside<T>(
        &self,
        places: &[Place<'_>],
        axis: TimeAxis,
        decide: impl Fn(&mut [Record], Now) -> T,
    ) -> T {
        let mut shards = self.side.lock(places.iter().map(|place| place.shard).collect());
        let homes = places.iter().filter(|place| is_in_table(place)).flat_map(|place| {
            let home = self.table.home(place.bucket);
            [home.first, self.table.other(home.tag, home.first)]
        });
        let mut held = Held::waiting(&self.table, homes.collect());
        let readings: SmallVec<[Reading<'_, '_>; 4]> =
            places.iter().map(|place| self.find_held(&held, place)).collect();
        let mut records: Records =
            readings.iter().map(|reading| self.record(reading, &mut shards)).collect();
        let now = self.now(axis);
        let answer = decide(&mut records, now);
        self.write(&mut held, &readings, &records, (now, axis));
        drop(held);
        let keep: SmallVec<[Key; 4]> =
            places.iter().flat_map(|place| [Some(place.bucket), place.ladder]).flatten().collect();
        for (place, record) in places.iter().zip(records) {
            if let Some(shard) = shard_of(&mut shards, place) {
                self.put_aside(shard, place, record, &keep, now);
            }
        }
        for (_, shard) in &mut shards {
            shard.sweep(now.monotonic);
        }
        answer
    }

    /// Where a place lies in the table, now that nobody else can change that.
    fn find_held<'p, 'a>(&self, held: &Held<'_>, place: &'p Place<'a>) -> Reading<'p, 'a> {
        let home = self.table.home(place.bucket);
        let numbers = [home.first, self.table.other(home.tag, home.first)];
        let spot = numbers.into_iter().find_map(|number| {
            let slot = held.group(number)?.find(home.tag)?;
            Some(Spot { group: number, slot })
        });
        Reading { place, home, spot }
    }

    fn record(&self, reading: &Reading<'_, '_>, shards: &mut LockedShards<'_>) -> Record {
        let place = reading.place;
        let Some(shard) = shard_of(shards, place) else {
            return Record::EMPTY;
        };
        let ladder = place.ladder.and_then(|key| shard.ladder(key));
        if is_in_table(place) {
            return Record { ladder, ..self.table_record(reading) };
        }
        Record { bucket: shard.take_bucket(place.bucket), ladder, ..Record::EMPTY }
    }

    /// Puts back what was taken out, changed or not, and a changed place on a ladder.
    fn put_aside(
        &self,
        shard: &mut Shard,
        place: &Place<'_>,
        record: Record,
        keep: &[Key],
        now: Now,
    ) {
        if let (Some(state), false) = (record.bucket, is_in_table(place)) {
            let algorithm = place.policy.algorithm();
            let (forgettable_at, on_axis) =
                (algorithm.full_at(&state), now.on(place.policy.axis()));
            // A log without entries is as good as none.
            if forgettable_at > on_axis {
                let capacity = algorithm.capacity();
                let used = capacity - algorithm.remaining(&state, on_axis).min(capacity);
                let entry = Entry::of_bucket(state, forgettable_at, (used, capacity));
                shard.put(place.bucket, entry, keep, now.monotonic, &self.counters);
            }
        }
        let ladder = (place.ladder, record.ladder, place.policy.penalty());
        if let ((Some(key), Some(state), Some(ladder)), true) = (ladder, record.ladder_changed) {
            let entry = Entry::of_ladder(state, ladder, now.monotonic);
            shard.put(key, entry, keep, now.monotonic, &self.counters);
        }
    }
}

/// Whether the bucket of a place lies in the table.
fn is_in_table(place: &Place<'_>) -> bool {
    place.policy.algorithm().is_fixed_size()
}

fn shard_of<'s>(shards: &'s mut LockedShards<'_>, place: &Place<'_>) -> Option<&'s mut Shard> {
    shards.iter_mut().find(|(number, _)| *number == place.shard).map(|(_, shard)| &mut **shard)
}

impl<C: Clock> Store<C> {
    /// Removes what is kept for `place`. Returns whether any of it said anything still.
    pub(crate) fn reset(&self, place: &Place<'_>) -> bool {
        let mut shards = self.side.lock(SmallVec::from_iter([place.shard]));
        let now = self.now(place.policy.axis());
        let mut in_debt = false;
        if let Some(shard) = shard_of(&mut shards, place) {
            for key in [Some(place.bucket), place.ladder].into_iter().flatten() {
                let entry = shard.remove(key);
                in_debt |= entry.is_some_and(|entry| entry.forgettable_at > now.monotonic);
            }
        }
        in_debt | self.clear(place, now)
    }

    /// Frees the place of a bucket in the table. Returns whether it was in debt.
    fn clear(&self, place: &Place<'_>, now: Now) -> bool {
        let mut backoff = Backoff::default();
        loop {
            let mut seen = Seen::new();
            let Reading { home, spot, .. } = self.read(place, &mut seen);
            let Some(mut held) = Held::unchanged(&self.table, &mut seen) else {
                backoff.wait();
                continue;
            };
            let Some((spot, writing)) =
                spot.and_then(|one| Some((one, held.group_mut(one.group)?)))
            else {
                return false;
            };
            let full_at = writing.group.state(spot.slot).full_at;
            writing.clear(spot.slot, now.monotonic);
            return full_at > now.on(home.tag.axis());
        }
    }
}
