//! The side table: what has no fixed size or no place beside its bucket, that is exact logs and
//! places on penalty ladders.
//!
//! It has shards behind plain locks; all that belongs to one identity lies in one shard. Each entry
//! of a log counts, each shard has a budget, and together they hold at most as many entries as the
//! store has keys. When a shard is full, a few of its entries are looked at, and one of them goes: one
//! that is as good as new if there is any, otherwise the one with the least debt, which is counted.
//! As in the table, that is the one that has used the smallest share of what its policy allows, and of
//! several such the one that could have been forgotten first. A ban is worth more than anything else.

use indexmap::IndexMap;
use rate_limit_core::{
    BucketState, LadderState, LogEntry, PackedState, PenaltyLadder, SlidingLogState, Timestamp,
};
use smallvec::SmallVec;

use crate::key::{Key, Prehashed};
use crate::stats::Counters;
use crate::sync::{Mutex, MutexGuard, lock};

/// What is kept aside.
#[derive(Clone, Debug)]
pub(crate) enum Aside {
    Bucket(BucketState),
    Ladder(LadderState),
}

/// One entry, and from when on it says nothing any more.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) aside: Aside,
    pub(crate) forgettable_at: Timestamp,
    /// How much of what its policy allows is used, up to [`PackedState::WHOLE`]; more is a ban.
    pub(crate) share_used: u8,
}

/// See the module documentation.
pub(crate) struct Side {
    shards: Box<[Mutex<Shard>]>,
}

/// A part of the side table.
pub(crate) struct Shard {
    entries: IndexMap<Key, Entry, Prehashed>,
    /// The sum of what the entries weigh.
    weight: usize,
    budget: usize,
    /// Where the search for what may be forgotten goes on.
    hand: usize,
}

/// The locked shards of one call, by ascending number.
pub(crate) type LockedShards<'s> = SmallVec<[(usize, MutexGuard<'s, Shard>); 2]>;

/// A shard holds at least this much, unless the whole store is smaller: twice the largest log.
const MIN_BUDGET: usize = 2 * SLIDING_LOG_MAX;
#[allow(clippy::cast_possible_truncation, reason = "10,000")]
const SLIDING_LOG_MAX: usize = rate_limit_core::SlidingLog::MAX_LIMIT as usize;

/// How many entries are looked at when one has to go.
const CANDIDATES: usize = 8;

/// How many entries a call looks at to see whether they can be cleared. More than it can add, so
/// that what a flood has left behind is cleared by the traffic on logs and ladders after it, whatever
/// keys that has. What is left when there is none is bounded by the budget.
const SWEEP: usize = 4;

/// How long what is as good as new stays before it is cleared although there is room: one second. A
/// busy client's log is empty again between any two requests if its window is short; making it anew
/// each time would cost more than keeping it.
const GRACE_NANOS: u64 = 1_000_000_000;

impl Side {
    /// A side table for at most `max_entries`.
    pub(crate) fn new(max_entries: usize) -> Self {
        let wanted = (max_entries / MIN_BUDGET).clamp(1, 64);
        // A power of two, rounded down.
        let count = (wanted + 1).next_power_of_two() / 2;
        let shard = || {
            Mutex::new(Shard {
                entries: IndexMap::with_hasher(Prehashed),
                weight: 0,
                budget: max_entries / count,
                hand: 0,
            })
        };
        Self { shards: std::iter::repeat_with(shard).take(count).collect() }
    }

    pub(crate) fn shard_of(&self, bits: usize) -> usize {
        bits & (self.shards.len() - 1)
    }

    /// Locks the shards with these numbers, in ascending order, so that no two calls can wait for
    /// each other.
    pub(crate) fn lock(&self, mut numbers: SmallVec<[usize; 4]>) -> LockedShards<'_> {
        numbers.sort_unstable();
        numbers.dedup();
        numbers
            .into_iter()
            .filter_map(|number| Some((number, lock(self.shards.get(number)?))))
            .collect()
    }

    /// Calls `look` with each shard, one after the other.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&Shard)) {
        self.shards.iter().for_each(|shard| look(&lock(shard)));
    }
}

impl Shard {
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Key, &Entry)> {
        self.entries.iter().map(|(key, entry)| (*key, entry))
    }

    pub(crate) fn ladder(&self, key: Key) -> Option<LadderState> {
        match self.entries.get(&key)?.aside {
            Aside::Ladder(state) => Some(state),
            Aside::Bucket(_) => None,
        }
    }

    /// Takes a bucket out, so that a log is moved and not copied.
    pub(crate) fn take_bucket(&mut self, key: Key) -> Option<BucketState> {
        match self.remove(key)?.aside {
            Aside::Bucket(state) => Some(state),
            Aside::Ladder(_) => None,
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Entry> {
        let entry = self.entries.swap_remove(&key)?;
        self.weight -= entry.weight();
        Some(entry)
    }

    /// Keeps an entry, whoever has to go for it except those in `keep`.
    pub(crate) fn put(
        &mut self,
        key: Key,
        mut entry: Entry,
        keep: &[Key],
        now: Timestamp,
        counters: &Counters,
    ) {
        self.remove(key);
        while self.weight + entry.weight() > self.budget {
            if !self.forget_one(keep, now, counters) && !entry.shorten() {
                // Only the other buckets of a single request can be in the way.
                return counters.forgot(entry.forgettable_at.nanos_since(now));
            }
        }
        self.weight += entry.weight();
        self.entries.insert(key, entry);
    }

    /// Forgets the entry that may be forgotten first, among a few. Returns whether there was one.
    fn forget_one(&mut self, keep: &[Key], now: Timestamp, counters: &Counters) -> bool {
        let count = self.entries.len();
        let candidates = (self.hand..self.hand + count).map(|index| index % count.max(1));
        let first = candidates
            .filter_map(|index| self.entries.get_index(index))
            .filter(|(key, _)| !keep.contains(key))
            .take(CANDIDATES)
            .min_by_key(|(_, entry)| entry.rank(now))
            .map(|(key, entry)| (*key, entry.forgettable_at));
        self.hand = self.hand.wrapping_add(CANDIDATES) % count.max(1);
        let Some((key, forgettable_at)) = first else {
            return false;
        };
        counters.forgot(forgettable_at.nanos_since(now));
        self.remove(key);
        true
    }

    /// Clears what has been as good as new for a while, a few entries with each call.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        let overdue = now.minus_nanos(GRACE_NANOS);
        for _ in 0..SWEEP {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            match self.entries.get_index(self.hand).map(|(key, entry)| (*key, entry)) {
                // Another entry takes the place of the one that is removed.
                Some((key, entry)) if entry.forgettable_at <= overdue => {
                    self.remove(key);
                }
                Some(_) => self.hand += 1,
                None => return,
            }
        }
    }
}

impl Entry {
    /// A bucket of which `used` units of `capacity` are used.
    pub(crate) fn of_bucket(
        state: BucketState,
        forgettable_at: Timestamp,
        (used, capacity): (u64, u64),
    ) -> Self {
        let used = u128::from(used.min(capacity)) * u128::from(PackedState::WHOLE);
        let share = used.div_ceil(u128::from(capacity.max(1)));
        let share_used = u8::try_from(share).unwrap_or(PackedState::WHOLE);
        Self { aside: Aside::Bucket(state), forgettable_at, share_used }
    }

    /// A place on `ladder` at `now`. Strikes that have not led to a ban are worth what their share of
    /// one is.
    pub(crate) fn of_ladder(state: LadderState, ladder: &PenaltyLadder, now: Timestamp) -> Self {
        let is_ban = state.banned_until > now || state.level > 0;
        let strikes = u64::from(state.strikes) * u64::from(PackedState::WHOLE);
        let share = strikes / u64::from(ladder.strikes().max(1));
        let share_used = if is_ban { u8::MAX } else { u8::try_from(share).unwrap_or(u8::MAX) };
        let forgettable_at = ladder.forgotten_at(&state);
        Self { aside: Aside::Ladder(state), forgettable_at, share_used }
    }

    /// Less goes first.
    fn rank(&self, now: Timestamp) -> (u8, Timestamp) {
        let is_new = self.forgettable_at <= now;
        (if is_new { 0 } else { self.share_used }, self.forgettable_at)
    }

    /// Each entry of a log counts; everything else counts once.
    pub(crate) fn weight(&self) -> usize {
        match &self.aside {
            Aside::Bucket(BucketState::SlidingLog(log)) => log.entries().len().max(1),
            _ => 1,
        }
    }

    /// Joins the two oldest entries of a log, at the instant of the later one: the units of both
    /// count, some of them longer than they had to. Returns whether there were two.
    fn shorten(&mut self) -> bool {
        let Aside::Bucket(BucketState::SlidingLog(log)) = &mut self.aside else {
            return false;
        };
        let mut entries = log.entries();
        let (Some(oldest), Some(next)) = (entries.next(), entries.next()) else {
            return false;
        };
        let joined = LogEntry { at: next.at, units: oldest.units.saturating_add(next.units) };
        let shorter = SlidingLogState::from_entries(std::iter::once(joined).chain(entries));
        *log = shorter;
        true
    }
}

impl std::fmt::Debug for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    /// Case M07: figures of the store leave out what is as good as new, so this counts what is there.
    #[test]
    fn what_has_been_as_good_as_new_is_cleared_by_others() {
        let (side, counters) = (Side::new(1_000), Counters::default());
        let mut shards = side.lock(SmallVec::from_iter([0]));
        let (_, shard) = &mut shards[0];
        for number in 0..500 {
            let until = if number % 50 == 0 { at(100) } else { at(1) };
            let state = BucketState::SlidingLog(SlidingLogState::from_entries([]));
            let entry = Entry::of_bucket(state, until, (1, 10));
            let key = Key { high: number, low: number };
            shard.put(key, entry, &[], at(0), &counters);
        }
        (0..200).for_each(|_| shard.sweep(at(1)));
        assert_eq!(shard.entries().count(), 500, "nothing is overdue yet");
        (0..200).for_each(|_| shard.sweep(at(3)));
        assert_eq!(shard.entries().count(), 10);
    }
}
