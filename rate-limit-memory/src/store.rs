//! All that is kept, and the one way to change it.
//!
//! [`Store::transact`] reads the buckets of a call, reads the clock, lets the caller decide, and
//! writes what has changed, all of it at one moment; see [`group`](crate::group) for how. Most calls
//! are about buckets that are known already, and take a shorter way, see [`known`](crate::known).

use rate_limit_core::{Clock, Now, RateLimitPolicy, Record, TimeAxis, Timestamp};
use smallvec::SmallVec;

use crate::held::{Held, Seen};
use crate::key::{IdentityDigest, Key};
use crate::room::{Debts, Room, Vain, insert};
use crate::side::Side;
use crate::stats::{Counters, MemoryStats};
use crate::sync::Backoff;
use crate::table::{Found, Home, Pages, Spot, Table};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Store<C> {
    pub(crate) clock: C,
    pub(crate) table: Table,
    pub(crate) side: Side,
    pub(crate) counters: Counters,
    vain: Vain,
    max_keys: usize,
}

/// The buckets of one charge.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) policy: &'a RateLimitPolicy,
    pub(crate) bucket: Key,
    /// The client's place on the penalty ladder, if the policy has one.
    pub(crate) ladder: Option<Key>,
    /// The shard of the side table.
    pub(crate) shard: usize,
}

/// A place in the table as it was read.
pub(crate) struct Reading<'p, 'a> {
    pub(crate) place: &'p Place<'a>,
    pub(crate) home: Home,
    pub(crate) spot: Option<Spot>,
}

/// One record for each place.
pub(crate) type Records = SmallVec<[Record; 4]>;

impl Place<'_> {
    /// Whether something of it lies in the side table.
    fn is_aside(&self) -> bool {
        self.ladder.is_some() || !self.policy.algorithm().is_fixed_size()
    }
}

impl<C: Clock> Store<C> {
    /// `None` if there is no memory for that many keys.
    pub(crate) fn new(clock: C, max_keys: usize, pages: Pages) -> Option<Self> {
        let (table, side) = (Table::new(max_keys, pages)?, Side::new(max_keys));
        let (counters, vain) = (Counters::default(), Vain::default());
        Some(Self { clock, table, side, counters, vain, max_keys })
    }

    pub(crate) fn place<'a>(
        &self,
        digest: IdentityDigest,
        policy: &'a RateLimitPolicy,
    ) -> Place<'a> {
        Place {
            policy,
            bucket: digest.bucket(policy),
            ladder: policy.striking_penalty().map(|_| digest.ladder(policy)),
            shard: self.side.shard_of(digest.shard_bits()),
        }
    }

    /// Whether no group has changed since it was seen.
    fn are_still(&self, seen: &Seen) -> bool {
        seen.iter().all(|(number, version)| self.table.group(*number).is_still(*version))
    }

    /// Changes the buckets at `places` in one atomic step.
    ///
    /// `decide` gets one record per place and changes them, at an instant that is read while they
    /// stand still. Should somebody else have been faster, it is asked again with new records.
    pub(crate) fn transact<T>(
        &self,
        places: &[Place<'_>],
        decide: impl Fn(&mut [Record], Now) -> T,
    ) -> T {
        let axis = axis(places);
        if places.iter().any(Place::is_aside) {
            return self.transact_aside(places, axis, decide);
        }
        let mut backoff = Backoff::default();
        loop {
            let mut seen = Seen::new();
            let readings: SmallVec<[Reading<'_, '_>; 4]> =
                places.iter().map(|place| self.read(place, &mut seen)).collect();
            let mut records: Records = readings.iter().map(|one| self.table_record(one)).collect();
            let now = self.now(axis);
            let answer = decide(&mut records, now);
            if records.iter().all(|record| !record.bucket_changed) {
                if self.are_still(&seen) {
                    return answer;
                }
            } else if let Some(mut held) = Held::unchanged(&self.table, &mut seen) {
                self.write(&mut held, &readings, &records, (now, axis));
                return answer;
            }
            backoff.wait();
        }
    }

    /// Looks up a place, noting the groups that were looked at.
    pub(crate) fn read<'p, 'a>(&self, place: &'p Place<'a>, seen: &mut Seen) -> Reading<'p, 'a> {
        let home = self.table.home(place.bucket);
        let spot = match self.table.find(home) {
            Ok(Found { spot, version, .. }) => {
                seen.push((spot.group, version));
                Some(spot)
            }
            Err(looks) => {
                seen.extend(looks);
                None
            }
        };
        Reading { place, home, spot }
    }

    /// What the table holds for a place.
    pub(crate) fn table_record(&self, reading: &Reading<'_, '_>) -> Record {
        let bucket = reading.spot.and_then(|spot| {
            let packed = self.table.group(spot.group).state(spot.slot);
            reading.place.policy.algorithm().unpack(packed)
        });
        Record { bucket, ..Record::EMPTY }
    }

    /// Writes the buckets that have changed into the groups that are held for it. Known ones first:
    /// a new one must not take the place of another bucket of the same call.
    pub(crate) fn write(
        &self,
        held: &mut Held<'_>,
        readings: &[Reading<'_, '_>],
        records: &[Record],
        (now, axis): (Now, TimeAxis),
    ) {
        let mut keep: SmallVec<[Spot; 4]> = readings.iter().filter_map(|one| one.spot).collect();
        let changed = || readings.iter().zip(records).filter(|(_, record)| record.bucket_changed);
        let packed = |reading: &Reading<'_, '_>, record: &Record| {
            let algorithm = reading.place.policy.algorithm();
            record.bucket.as_ref().and_then(|state| algorithm.pack(state))
        };
        for (reading, record) in changed() {
            let (Some(spot), Some(state)) = (reading.spot, packed(reading, record)) else {
                continue;
            };
            if let Some(writing) = held.group_mut(spot.group) {
                writing.set_state(spot.slot, state, now.monotonic);
            }
        }
        let mut room = Room {
            table: &self.table,
            debts: Debts::new(&self.clock, now, axis),
            vain: &self.vain,
            counters: &self.counters,
        };
        for (reading, record) in changed().filter(|(reading, _)| reading.spot.is_none()) {
            let Some(state) = packed(reading, record) else {
                continue;
            };
            let new = (reading.home, state);
            keep.extend(insert(&mut room, held, new, &keep));
        }
    }

    /// Both instants; the time of day only if somebody counts on it. It is the later one, so that what
    /// has not changed since the other has not changed since either.
    #[inline]
    pub(crate) fn now(&self, axis: TimeAxis) -> Now {
        let monotonic = self.clock.now();
        let utc = match axis {
            TimeAxis::Monotonic => Timestamp::ORIGIN,
            TimeAxis::Utc => self.clock.utc_now(),
        };
        Now { monotonic, utc }
    }

    /// Counts what is in debt. Looks at everything.
    pub(crate) fn stats(&self) -> MemoryStats {
        let now = self.now(TimeAxis::Utc);
        let (mut taken, mut aside) = (0, 0);
        self.for_each_in_debt(now, |_, _| taken += 1);
        self.side.for_each(|shard| {
            let in_debt = shard.entries().filter(|(_, one)| one.forgettable_at > now.monotonic);
            aside += in_debt.map(|(_, one)| one.weight()).sum::<usize>();
        });
        self.counters.read(taken, aside, self.max_keys)
    }
}

/// The time of day if any of the places counts on it.
pub(crate) fn axis(places: &[Place<'_>]) -> TimeAxis {
    let is_utc = places.iter().any(|place| place.policy.axis() == TimeAxis::Utc);
    if is_utc { TimeAxis::Utc } else { TimeAxis::Monotonic }
}
