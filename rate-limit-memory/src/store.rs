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

use crate::key::{Key, Prehashed};
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
pub(crate) enum Aside {
    Bucket(BucketState),
    Ladder(LadderState),
}

/// The buckets of one charge.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) policy: &'a RateLimitPolicy,
    pub(crate) bucket: Key,
    /// The client's place on the penalty ladder, if the policy has one.
    pub(crate) ladder: Option<Key>,
}

/// The locked shards of one call, by ascending number.
type Locked<'a> = SmallVec<[(usize, MutexGuard<'a, Shard>); 4]>;
/// Up to four policies are decided without an allocation.
type Records = SmallVec<[Record; 4]>;

impl Guarded {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shard> {
        lock(&self.shard)
    }

    /// Publishes the hint before the lock is given back.
    pub(crate) fn publish(&self, shard: &Shard) {
        self.earliest
            .store(shard.earliest().as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn earliest(&self) -> Timestamp {
        Timestamp::from_nanos(self.earliest.load(Ordering::Relaxed))
    }
}

impl Place<'_> {
    fn keys(&self) -> impl Iterator<Item = Key> {
        std::iter::once(self.bucket).chain(self.ladder)
    }
}

impl<C: Clock> Store<C> {
    pub(crate) fn new(clock: C, cap: usize, shards: usize) -> Self {
        let guarded = || {
            let earliest = AtomicU64::new(u64::MAX);
            CachePadded::new(Guarded {
                shard: Mutex::default(),
                earliest,
            })
        };
        Self {
            clock,
            shards: std::iter::repeat_with(guarded)
                .take(shards.next_power_of_two())
                .collect(),
            side: DashMap::with_hasher(Prehashed),
            taken: AtomicUsize::new(0),
            cap,
            counters: Counters::default(),
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
        let utc = places
            .iter()
            .any(|place| place.policy.axis() == TimeAxis::Utc);
        let mut reserved = 0;
        let mut locked = self.lock_all(places);
        loop {
            let wanted = self.room_wanted(&locked, places);
            if wanted <= reserved || self.try_reserve(wanted - reserved) {
                reserved = reserved.max(wanted);
                break;
            }
            // There is no room. Making some needs the locks of other shards, which must not be
            // waited for while holding any.
            drop(locked);
            self.make_room(wanted - reserved, self.now(utc));
            reserved = wanted;
            locked = self.lock_all(places);
        }
        let now = self.now(utc);
        let mut records: Records = places
            .iter()
            .map(|place| self.take_record(&locked, place))
            .collect();
        let answer = decide(&mut records, now);
        let mut used = 0;
        for (place, record) in places.iter().zip(records) {
            used += self.put_record(&mut locked, place, record, now);
        }
        for (number, shard) in &mut locked {
            self.sweep(shard, now);
            self.publish(*number, shard);
        }
        if reserved > used {
            self.release(reserved - used);
        }
        answer
    }

    /// Both instants; the time of day only if somebody asks for it.
    pub(crate) fn now(&self, utc: bool) -> Now {
        let utc = if utc {
            self.clock.utc_now()
        } else {
            Timestamp::ORIGIN
        };
        Now {
            monotonic: self.clock.now(),
            utc,
        }
    }

    /// Removes a slot together with what lies aside. Returns the room it took.
    pub(crate) fn forget(&self, shard: &mut Shard, key: Key) -> usize {
        let Some(slot) = shard.remove(key) else {
            return 0;
        };
        self.side.remove(&key);
        slot.weight.into()
    }

    pub(crate) fn publish(&self, number: usize, shard: &Shard) {
        if let Some(guarded) = self.shards.get(number) {
            guarded.publish(shard);
        }
    }

    fn shard_number(&self, key: Key) -> usize {
        // The index inside the shard uses the other half of the key.
        usize::try_from(key.high).unwrap_or(0) & (self.shards.len() - 1)
    }

    fn lock_all(&self, places: &[Place<'_>]) -> Locked<'_> {
        let mut numbers: SmallVec<[usize; 8]> = places
            .iter()
            .flat_map(Place::keys)
            .map(|key| self.shard_number(key))
            .collect();
        if numbers.len() > 1 {
            numbers.sort_unstable();
            numbers.dedup();
        }
        numbers
            .into_iter()
            .filter_map(|number| Some((number, self.shards.get(number)?.lock())))
            .collect()
    }

    /// The room that is needed if every bucket that is missing comes into being and every log
    /// grows by an entry.
    fn room_wanted(&self, locked: &Locked<'_>, places: &[Place<'_>]) -> usize {
        let wanted = |place: &Place<'_>| {
            let missing = place
                .keys()
                .filter(|key| self.slot(locked, *key).is_none())
                .count();
            let grows = matches!(place.policy.algorithm(), Algorithm::SlidingLog(_));
            missing + usize::from(grows)
        };
        places.iter().map(wanted).sum()
    }

    fn slot<'a>(&self, locked: &'a Locked<'_>, key: Key) -> Option<&'a Slot> {
        let number = self.shard_number(key);
        locked
            .iter()
            .find(|(other, _)| *other == number)?
            .1
            .get(key)
    }

    /// Takes what there is out of the store, so that a log is moved and not copied.
    fn take_record(&self, locked: &Locked<'_>, place: &Place<'_>) -> Record {
        let packed = self.slot(locked, place.bucket).map(|slot| slot.packed);
        let bucket = packed.and_then(|packed| match packed.unpack(place.policy.algorithm()) {
            Unpacked::Here(state) => Some(state),
            Unpacked::InSideTable => match self.side.remove(&place.bucket) {
                Some((_, Aside::Bucket(state))) => Some(state),
                _ => None,
            },
        });
        let ladder = place
            .ladder
            .and_then(|key| match self.side.get(&key).as_deref() {
                Some(Aside::Ladder(state)) => Some(*state),
                _ => None,
            });
        Record {
            bucket,
            ladder,
            bucket_changed: false,
            ladder_changed: false,
        }
    }

    /// Stores what has changed. Returns how much of the reserved room it used.
    fn put_record(
        &self,
        locked: &mut Locked<'_>,
        place: &Place<'_>,
        record: Record,
        now: Now,
    ) -> usize {
        let mut used = 0;
        if let Some(state) = record.bucket {
            let algorithm = place.policy.algorithm();
            let axis = algorithm.axis();
            match Packed::new(algorithm, &state) {
                Some(packed) if record.bucket_changed => {
                    used += self.put_slot(locked, place.bucket, packed, axis, 1, now);
                }
                Some(_) => {}
                None => {
                    // What lies aside was taken out and has to go back, changed or not.
                    let existed = self.slot(locked, place.bucket).is_some();
                    if record.bucket_changed || existed {
                        let packed = Packed::aside(algorithm.full_at(&state));
                        let weight = weight(&state);
                        self.side.insert(place.bucket, Aside::Bucket(state));
                        used += self.put_slot(locked, place.bucket, packed, axis, weight, now);
                    }
                }
            }
        }
        if let (Some(key), Some(state), Some(ladder), true) = (
            place.ladder,
            record.ladder,
            place.policy.penalty(),
            record.ladder_changed,
        ) {
            let packed = Packed::aside(ladder.forgotten_at(&state));
            self.side.insert(key, Aside::Ladder(state));
            used += self.put_slot(locked, key, packed, TimeAxis::Monotonic, 1, now);
        }
        used
    }

    /// Overwrites or adds a slot. Returns by how much the room it takes has grown.
    fn put_slot(
        &self,
        locked: &mut Locked<'_>,
        key: Key,
        packed: Packed,
        axis: TimeAxis,
        weight: u16,
        now: Now,
    ) -> usize {
        let number = self.shard_number(key);
        let Some((_, shard)) = locked.iter_mut().find(|(other, _)| *other == number) else {
            return 0; // Unreachable: the shards of all places are locked.
        };
        if let Some(slot) = shard.get_mut(key) {
            let before = std::mem::replace(&mut slot.weight, weight);
            slot.packed = packed;
            if slot.forgettable_at(now) < slot.queued_at {
                shard.requeue(key, now);
            }
            if weight < before {
                self.release(usize::from(before - weight));
            }
            return usize::from(weight.saturating_sub(before));
        }
        let mut slot = Slot {
            key,
            packed,
            queued_at: Timestamp::ORIGIN,
            queue_index: 0,
            weight,
            axis,
        };
        slot.queued_at = slot.forgettable_at(now);
        shard.insert(slot);
        weight.into()
    }

    /// Removes one bucket. Returns 1 if it was in debt.
    pub(crate) fn remove(&self, key: Key) -> usize {
        let number = self.shard_number(key);
        let Some(guarded) = self.shards.get(number) else {
            return 0;
        };
        let mut shard = guarded.lock();
        let now = self.now(true);
        let in_debt = shard
            .get(key)
            .is_some_and(|slot| slot.forgettable_at(now) > now.monotonic);
        self.release(self.forget(&mut shard, key));
        guarded.publish(&shard);
        usize::from(in_debt)
    }

    /// All buckets that are in debt, one shard after the other.
    pub(crate) fn listed(&self) -> Vec<ListedBucket> {
        let now = self.now(true);
        let mut listed = Vec::new();
        for guarded in &self.shards {
            listed.extend(guarded.lock().slots().filter_map(|slot| {
                let nanos = slot.forgettable_at(now).nanos_since(now.monotonic);
                let forgotten_after = Duration::from_nanos(nanos);
                (nanos > 0).then(|| ListedBucket {
                    id: BucketId(slot.key.into()),
                    forgotten_after,
                })
            }));
        }
        listed
    }

    /// The side table, for the tests of its size.
    #[cfg(test)]
    pub(crate) fn aside(&self) -> usize {
        self.side.len()
    }
}

/// The entries of a log count towards the cap; everything else counts once.
fn weight(state: &BucketState) -> u16 {
    match state {
        BucketState::SlidingLog(log) => u16::try_from(log.entries().len())
            .unwrap_or(u16::MAX)
            .max(1),
        _ => 1,
    }
}
