//! Buckets in shards, and the one way to change them.
//!
//! [`Store::transact`] locks the shards of all buckets it is given, in ascending order so that no
//! two calls can wait for each other, reads the clock, and lets the caller decide. Since every
//! change happens under the locks of all buckets involved, a decision over several of them is one
//! atomic step.
//!
//! The side table is a concurrent map of its own, but only whoever holds the shard lock of a key
//! touches its entry, so its inner locks are held for single look-ups and guard nothing else.

use crossbeam_utils::CachePadded;
use dashmap::DashMap;
use rate_limit_core::{Clock, Now, RateLimitPolicy, Record, TimeAxis, Timestamp};
use smallvec::SmallVec;

use crate::key::{IdentityDigest, Key, Prehashed};
use crate::records::{Aside, Found, find};
use crate::shard::Shard;
use crate::slot::{Packed, Unpacked};
use crate::stats::Counters;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, lock};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Store<C> {
    pub(crate) clock: C,
    pub(crate) shards: Box<[CachePadded<Guarded>]>,
    /// States that do not fit a slot.
    pub(crate) side: DashMap<Key, Aside, Prehashed>,
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
pub(crate) type Locked<'a> = SmallVec<[(usize, MutexGuard<'a, Shard>); 2]>;

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
            let earliest = AtomicU64::new(Timestamp::LAST.as_nanos());
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

    /// [`transact`](Self::transact) for buckets that all exist, lie in one shard and need no side
    /// table, which is what nearly every request finds: one lock, one look-up for each. `None` if
    /// they are not such buckets, and then nothing was done.
    pub(crate) fn transact_known<const N: usize, T>(
        &self,
        places: &[Place<'_>; N],
        decide: impl FnOnce(&mut [Record], Now) -> T,
    ) -> Option<T> {
        let shard_number = places.first()?.shard;
        let elsewhere = |place: &Place<'_>| place.shard != shard_number || place.ladder.is_some();
        if places.iter().any(elsewhere) {
            return None;
        }
        let guarded = self.shards.get(shard_number)?;
        let mut shard = guarded.lock();
        let mut numbers = [0; N];
        let mut records = [const { Record::EMPTY }; N];
        let mut utc = false;
        for ((place, number), record) in places.iter().zip(&mut numbers).zip(&mut records) {
            let algorithm = place.policy.algorithm();
            *number = shard.find(place.bucket)?;
            let Unpacked::Here(state) = shard.slot(*number)?.packed.unpack(algorithm) else {
                return None;
            };
            record.bucket = Some(state);
            utc |= algorithm.axis() == TimeAxis::Utc;
        }
        let now = self.now(utc);
        let answer = decide(&mut records, now);
        for ((place, number), record) in places.iter().zip(numbers).zip(&records) {
            let (true, Some(state)) = (record.bucket_changed, &record.bucket) else {
                continue;
            };
            let packed = Packed::new(place.policy.algorithm(), state);
            let (Some(packed), Some(slot)) = (packed, shard.slot_mut(number)) else {
                continue;
            };
            slot.packed = packed;
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
}
