//! The hard cap: where a new bucket goes, and who has to go for it.
//!
//! A new bucket has ten places in the two groups of its key. It takes one that nobody has, or one
//! whose bucket is as good as new, which is nobody's by definition: nothing has to clear it first.
//! If there is none, the buckets there are asked whether their other group has such a place, and the
//! first that finds one moves. So nothing in debt is lost until seven tenths of all places are in
//! debt; at nine tenths one newcomer in fifteen is too many.
//!
//! Then the bucket with the least debt of the ten goes, that is the one that has used the smallest
//! share of what its policy lets it hold, and of several such the one that would have been full
//! first. Its debt is counted as forgiven. The time alone would not do: all windows of a policy take
//! as long whatever was used of them, and one unit of a day's limit takes longer to come back than
//! all of a minute's.
//!
//! Looking for such a place elsewhere is a walk through memory that is likely to be far. After it was
//! in vain several times in a row the table is full, and then one newcomer in sixteen looks, so that
//! a flood is cheap and the end of it is noticed.
//!
//! # What an attacker can make of it
//!
//! The newcomer gets the place whatever its own debt is, so every client is limited from its first
//! unit on, and nobody is denied for want of room. A newcomer with little debt is itself the next to
//! go. So a flood of strangers, however many, costs a group one bucket, the one with the least debt,
//! and from then on displaces only itself. To wash off a debt, one has to run up a greater one in all
//! other places where it may lie, which are in two groups that nobody outside can tell: for a bucket
//! that has nothing left, one has to exhaust nine others.

use std::cmp::Reverse;

use crossbeam_utils::CachePadded;
use rate_limit_core::{Clock, Now, PackedState, TimeAxis, Timestamp};

use crate::group::{SLOTS, Tag};
use crate::held::Held;
use crate::stats::Counters;
use crate::sync::{AtomicU64, Ordering};
use crate::table::{Home, Spot, Table};

/// Searches for a better place that were in vain since the last one that was not.
///
/// Relaxed, because the number decides where to look, never what is true.
#[derive(Debug, Default)]
pub(crate) struct Vain(CachePadded<AtomicU64>);

impl Vain {
    const MANY: u64 = 32;

    /// Whether the owner of `tag` should look.
    fn is_worth_a_search(&self, tag: Tag) -> bool {
        self.0.load(Ordering::Relaxed) < Self::MANY || (tag.0 >> 1).is_multiple_of(16)
    }

    fn found(&self, is_found: bool) {
        let before = self.0.load(Ordering::Relaxed);
        let after = if is_found { 0 } else { (before + 1).min(Self::MANY) };
        if before != after {
            self.0.store(after, Ordering::Relaxed);
        }
    }
}

/// How much each bucket lacks at one moment.
#[derive(Debug)]
pub(crate) struct Debts<'a, C> {
    clock: &'a C,
    now: Now,
    is_utc_read: bool,
}

impl<'a, C: Clock> Debts<'a, C> {
    /// `is_utc_read` says whether `now` holds the time of day.
    pub(crate) fn new(clock: &'a C, now: Now, axis: TimeAxis) -> Self {
        Self { clock, now, is_utc_read: axis == TimeAxis::Utc }
    }

    /// Nanoseconds until the bucket is as good as new; zero if it is, or if there is none.
    #[inline]
    pub(crate) fn nanos(&mut self, tag: Tag, full_at: Timestamp) -> u64 {
        if tag == Tag::NOBODY {
            return 0;
        }
        if tag.axis() == TimeAxis::Utc && !self.is_utc_read {
            // Few buckets follow the time of day, so it is read when the first of them is met.
            self.now.utc = self.clock.utc_now();
            self.is_utc_read = true;
        }
        full_at.nanos_since(self.now.on(tag.axis()))
    }
}

/// What putting a new bucket into its place needs to know besides the place.
pub(crate) struct Room<'a, C> {
    pub(crate) table: &'a Table,
    pub(crate) debts: Debts<'a, C>,
    pub(crate) vain: &'a Vain,
    pub(crate) counters: &'a Counters,
}

/// Puts a new bucket into a place among the held groups, both of its own among them, and says which.
/// Places in `keep` are not touched.
pub(crate) fn insert<C: Clock>(
    room: &mut Room<'_, C>,
    held: &mut Held<'_>,
    (home, state): (Home, PackedState),
    keep: &[Spot],
) -> Option<Spot> {
    let groups = [home.first, room.table.other(home.tag, home.first)];
    let (debt_nanos, mut spot) = least(held, groups, keep, &mut room.debts)?;
    if debt_nanos > 0 {
        let way = room.vain.is_worth_a_search(home.tag).then(|| {
            let way = make_way(room.table, held, groups, keep, &mut room.debts);
            room.vain.found(way.is_some());
            way
        });
        match way.flatten() {
            Some(left) => spot = left,
            None => room.counters.forgot(debt_nanos),
        }
    }
    let at = room.debts.now.monotonic;
    held.group_mut(spot.group)?.set(spot.slot, home.tag, state, at);
    Some(spot)
}

/// The first place of two groups that is nobody's, otherwise the one that has been free for longest,
/// otherwise the one with the least debt, see the module documentation; with the time until that one
/// is as good as new.
///
/// Free places whose owner may come back soon are spared, because looking a bucket up is cheaper
/// than bringing it in again.
fn least<C: Clock>(
    held: &Held<'_>,
    groups: [usize; 2],
    keep: &[Spot],
    debts: &mut Debts<'_, C>,
) -> Option<(u64, Spot)> {
    let mut least: Option<(Rank, Spot)> = None;
    for number in groups {
        let group = held.group(number)?;
        for slot in 0..SLOTS {
            let (tag, spot) = (group.tag(slot), Spot { group: number, slot });
            if tag == Tag::NOBODY {
                return Some((0, spot));
            }
            if keep.contains(&spot) {
                continue;
            }
            let state = group.state(slot);
            let debt_nanos = debts.nanos(tag, state.full_at);
            let now = debts.now.on(tag.axis());
            let rank = (state.share_used(now), debt_nanos, Reverse(now.nanos_since(state.full_at)));
            if least.is_none_or(|(least, _)| rank < least) {
                least = Some((rank, spot));
            }
        }
    }
    least.map(|((_, debt_nanos, _), spot)| (debt_nanos, spot))
}

/// The share that is used, the nanoseconds until it is not any more, and how long that has been so.
/// The least goes first.
type Rank = (u8, u64, Reverse<u64>);

/// Moves one of the buckets in two groups to its own other group. Returns the place it has left.
fn make_way<C: Clock>(
    table: &Table,
    held: &Held<'_>,
    groups: [usize; 2],
    keep: &[Spot],
    debts: &mut Debts<'_, C>,
) -> Option<Spot> {
    let spots = (0..SLOTS).flat_map(|slot| groups.map(|group| Spot { group, slot }));
    spots.filter(|spot| !keep.contains(spot)).find(|spot| {
        let moved = held.group(spot.group).and_then(|group| {
            let (tag, state) = (group.tag(spot.slot), group.state(spot.slot));
            move_to(table, held, table.other(tag, spot.group), (tag, state), debts)
        });
        moved.is_some()
    })
}

/// Puts a bucket into a free place of `number`, a group that nobody else is writing. Returns whether
/// there was one.
fn move_to<C: Clock>(
    table: &Table,
    held: &Held<'_>,
    number: usize,
    (tag, state): (Tag, PackedState),
    debts: &mut Debts<'_, C>,
) -> Option<()> {
    if held.group(number).is_some() {
        return None;
    }
    let group = table.group(number);
    // Neither waits: this call holds other groups.
    let version = group.version_if_free()?;
    let free = (0..SLOTS).find(|slot| debts.nanos(group.tag(*slot), group.full_at(*slot)) == 0)?;
    group.try_write(version)?.set(free, tag, state, debts.now.monotonic);
    Some(())
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use rate_limit_core::ManualClock;
    use smallvec::smallvec;

    use crate::table::Pages;

    use super::*;

    /// A store of two groups, full of debts of 10, 11 … 19 at the instant zero of both axes; the
    /// bucket with 10 lies in the second group.
    fn full() -> (Table, ManualClock) {
        let table = Table::new(2 * SLOTS, Pages::Usual).unwrap();
        for group in 0..2 {
            let mut writing = table.group(group).write();
            for slot in 0..SLOTS {
                let debt = 10 + ((1 - group) * SLOTS + slot) as u64;
                // Even, so on the monotonic axis; in either half of the numbers alike.
                let tag = Tag((slot as u64) << 61 | (group as u64) << 8 | 2);
                let state = PackedState::from_words([debt, 0]);
                writing.set(slot, tag, state, Timestamp::ORIGIN);
            }
        }
        (table, ManualClock::new())
    }

    /// Puts a newcomer with a debt of one into the table; returns which debts are left, and what was
    /// counted as lost.
    fn come(table: &Table, clock: &ManualClock, now: u64, tag: Tag) -> (Vec<u64>, u64) {
        let home = Home { tag, first: 0 };
        let counters = Counters::default();
        let now = Now { monotonic: Timestamp::from_nanos(now), utc: Timestamp::ORIGIN };
        let vain = Vain::default();
        let debts = Debts::new(clock, now, TimeAxis::Monotonic);
        let mut room = Room { table, debts, vain: &vain, counters: &counters };
        let mut held = Held::waiting(table, smallvec![0, table.other(tag, 0)]);
        let state = PackedState::from_words([1, 0]);
        insert(&mut room, &mut held, (home, state), &[]).unwrap();
        drop(held);
        let spots = (0..2).flat_map(|group| (0..SLOTS).map(move |slot| (group, slot)));
        let mut left: Vec<u64> =
            spots.map(|(group, slot)| table.group(group).full_at(slot).as_nanos()).collect();
        left.sort_unstable();
        let lost = counters.read(0, 0, 0).forgiven.as_nanos();
        (left, u64::try_from(lost).unwrap())
    }

    /// A tag whose two groups are both of a table of two.
    const ACROSS: Tag = Tag(u64::MAX - 1);

    /// A tag whose groups are both the first one.
    const AT_HOME: Tag = Tag(4);

    #[test]
    fn the_least_debt_of_all_candidates_goes_and_is_counted() {
        let (table, clock) = full();
        let (left, lost) = come(&table, &clock, 0, ACROSS);
        assert_eq!(left, [1, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
        assert_eq!(lost, 10);
        // The next one pushes out the newcomer and nobody else.
        let (left, lost) = come(&table, &clock, 0, Tag(u64::MAX - 3));
        assert_eq!(left, [1, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
        assert_eq!(lost, 1);
    }

    #[test]
    fn what_is_as_good_as_new_goes_before_the_least_debt() {
        let (table, clock) = full();
        let (left, lost) = come(&table, &clock, 10, ACROSS);
        assert_eq!((left.first(), left.get(1), lost), (Some(&1), Some(&11), 0));
    }

    #[test]
    fn a_bucket_moves_to_its_other_group_before_one_goes() {
        let (table, clock) = full();
        table.group(1).write().clear(0, Timestamp::ORIGIN);
        // Both of this newcomer's groups are the first one, which is full.
        let (left, lost) = come(&table, &clock, 0, AT_HOME);
        assert_eq!(left, [1, 11, 12, 13, 14, 15, 16, 17, 18, 19], "10 was the free place");
        assert_eq!(lost, 0);
    }
}

/// What a store's own models cannot steer to: tags with both of their places in one group.
#[cfg(all(test, loom))]
mod models {
    use std::sync::Arc;

    use rate_limit_core::ManualClock;
    use smallvec::smallvec;

    use crate::table::Pages;

    use super::*;

    /// Puts a newcomer with a debt into a group that has both of its places. Returns the debt that was
    /// lost for it.
    fn come(table: &Table, number: usize, tag: u64, debt: u64) -> u64 {
        let (clock, vain, counters) = (ManualClock::new(), Vain::default(), Counters::default());
        let now = Now { monotonic: Timestamp::ORIGIN, utc: Timestamp::ORIGIN };
        let debts = Debts::new(&clock, now, TimeAxis::Monotonic);
        let mut room = Room { table, debts, vain: &vain, counters: &counters };
        let home = Home { tag: Tag(tag), first: number };
        assert_eq!(table.other(home.tag, number), number, "it has no other group");
        let mut held = Held::waiting(table, smallvec![number]);
        let state = PackedState::from_words([debt, 0]);
        insert(&mut room, &mut held, (home, state), &[]).unwrap();
        u64::try_from(counters.read(0, 0, 0).forgiven.as_nanos()).unwrap()
    }

    /// Two newcomers want the last free place: one in its own group, the other for a bucket that is
    /// to make way for it. One bucket goes, and it is counted.
    #[test]
    fn a_bucket_that_makes_way_takes_no_place_that_was_taken_meanwhile() {
        loom::model(|| {
            let table = Arc::new(Table::new(2 * SLOTS, Pages::Usual).unwrap());
            // In the first group all could go to the other one.
            let across = |slot: u64| Tag(u64::MAX - 1 - 2 * slot);
            let there = [(0, 0, across(0), 10), (0, 1, across(1), 20), (1, 0, Tag(2), 40)];
            for (group, slot, tag, debt) in there {
                let state = PackedState::from_words([debt, 0]);
                table.group(group).write().set(slot, tag, state, Timestamp::ORIGIN);
            }
            let newcomer = {
                let table = table.clone();
                loom::thread::spawn(move || come(&table, 1, 4, 80))
            };
            let lost = come(&table, 0, 6, 160) + newcomer.join().unwrap();
            let debts =
                table.groups().flat_map(|group| (0..SLOTS).map(move |slot| group.full_at(slot)));
            let left: u64 = debts.map(Timestamp::as_nanos).sum();
            assert_eq!(left + lost, 10 + 20 + 40 + 80 + 160);
        });
    }
}
