//! Buckets in shards, and the one way to change them.
//!
//! [`Store::transact`] locks the shards of all buckets it is given, in ascending order so that no
//! two calls can wait for each other, reads the clock, and lets the caller decide. Since every
//! change happens under the locks of all buckets involved, a decision over several of them is one
//! atomic step.
//!
//! The side table is a concurrent map of its own, but only whoever holds the shard lock of a key
//! touches its entry, so its inner locks are held for single look-ups and guard nothing else.

use std::time::Duration;

use crossbeam_utils::CachePadded;
use dashmap::DashMap;
use rate_limit_core::{
    Algorithm, BucketId, BucketState, Clock, LadderState, ListedBucket, Now, RateLimitPolicy,
    Record, TimeAxis, Timestamp,
};
use smallvec::SmallVec;

use crate::key::{IdentityDigest, Key, Prehashed};
use crate::shard::Shard;
use crate::slot::{Packed, Slot, Unpacked};
use crate::stats::Counters;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, lock};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Store<C> {
    pub(crate) clock: C,
    pub(crate) shards: Box<[CachePadded<Guarded>]>,
    /// States that do not fit a slot.
    side: DashMap<Key, Aside, Prehashed>,
    /// How much of the cap is taken or reserved.
    pub(crate) taken: AtomicUsize,
    pub(crate) cap: usize,
    pub(crate) counters: Counters,
}

/// A shard behind its lock.
#[derive(Debug)]
pub(crate) struct Guarded {
    shard: Mutex<Shard>,
    /// [`Shard::earliest`] in nanoseconds, readable without the lock. A hint: it decides where to
    /// look, never what is true, so relaxed ordering is enough.
    earliest: AtomicU64,
}

/// What does not fit a slot.
#[derive(Clone, Debug)]
enum Aside {
    Bucket(BucketState),
    Ladder(LadderState),
}

/// The buckets of one charge.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) policy: &'a RateLimitPolicy,
    pub(crate) shard: usize,
    pub(crate) bucket: Key,
    /// The client's place on the penalty ladder, if the policy has one.
    pub(crate) ladder: Option<Key>,
}

/// The locked shards of one call, by ascending number.
type Locked<'a> = SmallVec<[(usize, MutexGuard<'a, Shard>); 2]>;

/// A place and where it was found under the locks.
struct Found<'p, 'a> {
    place: &'p Place<'a>,
    /// Index into the locked shards.
    locked: usize,
    bucket: Option<u32>,
    ladder: Option<u32>,
}

impl Guarded {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shard> {
        lock(&self.shard)
    }

    /// Publishes the hint before the lock is given back.
    pub(crate) fn publish(&self, shard: &Shard) {
        self.earliest.store(shard.earliest().as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn earliest(&self) -> Timestamp {
        Timestamp::from_nanos(self.earliest.load(Ordering::Relaxed))
    }
}

impl<C: Clock> Store<C> {
    pub(crate) fn new(clock: C, cap: usize, shards: usize) -> Self {
        let guarded = || {
            let earliest = AtomicU64::new(u64::MAX);
            CachePadded::new(Guarded { shard: Mutex::default(), earliest })
        };
        Self {
            clock,
            shards: std::iter::repeat_with(guarded).take(shards.next_power_of_two()).collect(),
            side: DashMap::with_hasher(Prehashed),
            taken: AtomicUsize::new(0),
            cap,
            counters: Counters::default(),
        }
    }

    pub(crate) fn place<'a>(
        &self,
        digest: IdentityDigest,
        policy: &'a RateLimitPolicy,
    ) -> Place<'a> {
        Place {
            policy,
            shard: digest.shard_bits() & (self.shards.len() - 1),
            bucket: digest.bucket(policy),
            ladder: policy
                .penalty()
                .filter(|_| policy.is_enforced())
                .map(|_| digest.ladder(policy)),
        }
    }

    /// Changes the buckets at `places` in one atomic step.
    ///
    /// `decide` gets one record per place and changes them; it is called exactly once, at an
    /// instant that was read while all the buckets were locked.
    pub(crate) fn transact<T>(
        &self,
        places: &[Place<'_>],
        decide: impl FnOnce(&mut [Record], Now) -> T,
    ) -> T {
        let utc = places.iter().any(|place| place.policy.axis() == TimeAxis::Utc);
        let mut reserved = 0;
        let (mut locked, found) = loop {
            let locked = self.lock_all(places);
            let found: SmallVec<[Found<'_, '_>; 4]> =
                places.iter().map(|place| find(&locked, place)).collect();
            let wanted: usize = found.iter().map(Found::room_wanted).sum();
            if wanted <= reserved || self.try_reserve(wanted - reserved) {
                reserved = wanted.max(reserved);
                break (locked, found);
            }
            // There is no room. Making some needs the locks of other shards, which must not be
            // waited for while holding any.
            drop((found, locked));
            self.make_room(wanted - reserved, self.now(utc));
            reserved = wanted;
        };
        let now = self.now(utc);
        let mut records: SmallVec<[Record; 4]> =
            found.iter().map(|found| self.take_record(&locked, found)).collect();
        let answer = decide(&mut records, now);
        let mut used = 0;
        for (found, record) in found.iter().zip(records) {
            if let Some((_, shard)) = locked.get_mut(found.locked) {
                used += self.put_bucket(shard, found, record.bucket, record.bucket_changed, now);
                if record.ladder_changed {
                    used += self.put_ladder(shard, found, record.ladder, now);
                }
            }
        }
        if reserved > used {
            self.release(reserved - used);
        }
        for (number, shard) in &mut locked {
            self.finish(*number, shard, now, used);
        }
        answer
    }

    /// [`transact`](Self::transact) for one bucket that exists and needs no side table: one lock,
    /// one look-up, nothing else. `None` if it is not such a bucket, and then nothing was done.
    pub(crate) fn transact_one<T>(
        &self,
        place: &Place<'_>,
        decide: impl FnOnce(&mut Record, Now) -> T,
    ) -> Option<T> {
        if place.ladder.is_some() {
            return None;
        }
        let algorithm = place.policy.algorithm();
        let utc = algorithm.axis() == TimeAxis::Utc;
        let guarded = self.shards.get(place.shard)?;
        let mut shard = guarded.lock();
        let number = shard.find(place.bucket)?;
        let slot = shard.slot_mut(number)?;
        let Unpacked::Here(state) = slot.packed.unpack(algorithm) else {
            return None;
        };
        let now = self.now(utc);
        let mut record = Record { bucket: Some(state), ..Record::default() };
        let answer = decide(&mut record, now);
        if record.bucket_changed {
            let packed = record.bucket.and_then(|state| Packed::new(algorithm, &state));
            slot.packed = packed.unwrap_or(slot.packed);
            if slot.forgettable_at(now) < slot.queued_at {
                shard.requeue(number, now);
                guarded.publish(&shard);
            }
        }
        if Self::is_sweep_due(guarded, now) {
            self.sweep(&mut shard, now);
            guarded.publish(&shard);
        }
        Some(answer)
    }

    /// Both instants; the time of day only if somebody asks for it.
    #[allow(clippy::fn_params_excessive_bools, reason = "private")]
    pub(crate) fn now(&self, utc: bool) -> Now {
        let utc = if utc { self.clock.utc_now() } else { Timestamp::ORIGIN };
        Now { monotonic: self.clock.now(), utc }
    }

    /// Removes a slot together with what lies aside. Returns the room it took.
    pub(crate) fn forget(&self, shard: &mut Shard, key: Key) -> usize {
        let Some(slot) = shard.remove(key) else {
            return 0;
        };
        if slot.is_aside {
            self.side.remove(&key);
        }
        slot.weight.into()
    }

    /// Clears some of what has expired and publishes the hint before the lock is given back.
    fn finish(&self, number: usize, shard: &mut Shard, now: Now, inserted: usize) {
        let Some(guarded) = self.shards.get(number) else {
            return;
        };
        let due = Self::is_sweep_due(guarded, now);
        if due {
            self.sweep(shard, now);
        }
        if due || inserted > 0 || shard.earliest() != guarded.earliest() {
            guarded.publish(shard);
        }
    }

    fn lock_all(&self, places: &[Place<'_>]) -> Locked<'_> {
        let mut numbers: SmallVec<[usize; 4]> = places.iter().map(|place| place.shard).collect();
        if numbers.len() > 1 {
            numbers.sort_unstable();
            numbers.dedup();
        }
        numbers
            .into_iter()
            .filter_map(|number| Some((number, self.shards.get(number)?.lock())))
            .collect()
    }

    /// Takes what there is out of the store, so that a log is moved and not copied.
    fn take_record(&self, locked: &Locked<'_>, found: &Found<'_, '_>) -> Record {
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
    fn put_bucket(
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
    fn put_ladder(
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

    /// Removes what is kept for `place`. Returns how many of its buckets were in debt.
    pub(crate) fn reset(&self, place: &Place<'_>) -> usize {
        let Some(guarded) = self.shards.get(place.shard) else {
            return 0;
        };
        let mut shard = guarded.lock();
        let now = self.now(true);
        let mut in_debt = 0;
        for key in [Some(place.bucket), place.ladder].into_iter().flatten() {
            let slot = shard.find(key).and_then(|number| shard.slot(number));
            let debt = slot.is_some_and(|slot| slot.forgettable_at(now) > now.monotonic);
            in_debt += usize::from(debt);
            self.release(self.forget(&mut shard, key));
        }
        guarded.publish(&shard);
        in_debt
    }

    /// All buckets that are in debt, one shard after the other.
    pub(crate) fn listed(&self) -> Vec<ListedBucket> {
        let now = self.now(true);
        let mut listed = Vec::new();
        for guarded in &self.shards {
            listed.extend(guarded.lock().slots().filter_map(|slot| {
                let nanos = slot.forgettable_at(now).nanos_since(now.monotonic);
                let forgotten_after = Duration::from_nanos(nanos);
                (nanos > 0).then(|| ListedBucket { id: BucketId(slot.key.into()), forgotten_after })
            }));
        }
        listed
    }
}

/// Looks up a place under the locks.
fn find<'p, 'a>(locked: &Locked<'_>, place: &'p Place<'a>) -> Found<'p, 'a> {
    let index = locked.iter().position(|(number, _)| *number == place.shard).unwrap_or_default();
    let find = |key| locked.get(index)?.1.find(key);
    Found { place, locked: index, bucket: find(place.bucket), ladder: place.ladder.and_then(find) }
}

impl Found<'_, '_> {
    /// The room that is needed if what is missing comes into being and a log grows by an entry.
    fn room_wanted(&self) -> usize {
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
