//! All buckets of fixed size: a table that is allocated once and never grows.
//!
//! A key may lie in either of two groups. The first comes from one half of its digest, the sum of
//! both from its tag, so that each can be told from the other and a bucket can move between them.
//!
//! The operating system provides a page of the table when it is touched first: an empty table takes
//! address space and no memory.

use crate::group::{Group, SLOTS, Tag, Version, WORDS};
use crate::hints;
use crate::key::Key;
use crate::sync::{AtomicU64, zeros};

/// Bytes of a cache line, or of two where the processor fetches them in pairs.
const ALIGNMENT: usize = 128;

/// Words that are allocated beyond the groups, so that the first of these can begin at a multiple of
/// [`ALIGNMENT`]. Asking the allocator for it would make it clear all memory itself.
const SLACK: usize = ALIGNMENT / size_of::<u64>();

/// See the module documentation.
pub(crate) struct Table {
    words: Box<[AtomicU64]>,
    /// Words before the first group.
    skipped: usize,
    groups: u64,
    /// Stands for a group that does not exist, which nobody asks for.
    nowhere: Box<[AtomicU64; WORDS]>,
}

/// Which pages of memory a table asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pages {
    Usual,
    /// Of two megabytes, where the operating system has some.
    Huge,
}

/// Where a key may lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    pub(crate) tag: Tag,
    pub(crate) first: usize,
}

/// Where a bucket was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Spot {
    pub(crate) group: usize,
    pub(crate) slot: usize,
}

impl Table {
    /// A table with room for at most `max_keys` keys, or `None` if there is no memory for it.
    pub(crate) fn new(max_keys: usize, pages: Pages) -> Option<Self> {
        let groups = max_keys / SLOTS;
        let words = zeros(groups.checked_mul(WORDS)?.checked_add(SLACK)?)?;
        if pages == Pages::Huge {
            hints::provide_huge_pages(&words);
        }
        let skipped = words.as_ptr().align_offset(ALIGNMENT).min(SLACK);
        let nowhere = Box::new(std::array::from_fn(|_| AtomicU64::new(0)));
        Some(Self { words, skipped, groups: groups as u64, nowhere })
    }

    /// Bytes that a table for `max_keys` keys takes when it is full.
    pub(crate) const fn bytes(max_keys: usize) -> usize {
        (max_keys / SLOTS).saturating_mul(WORDS * size_of::<u64>())
    }

    #[inline]
    pub(crate) fn home(&self, key: Key) -> Home {
        Home { tag: key.tag(), first: scaled(key.low, self.groups) }
    }

    /// The other group in which a bucket with this tag may lie; rarely the same.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "less than the number of groups")]
    pub(crate) fn other(&self, tag: Tag, group: usize) -> usize {
        let (sum, group) = (scaled(tag.0, self.groups) as u64, group as u64);
        let other = if sum >= group { sum - group } else { sum + self.groups - group };
        other as usize
    }

    #[inline]
    pub(crate) fn group(&self, number: usize) -> Group<'_> {
        // Neither wraps for a group that exists; for another one there is nothing at the place or
        // a group, and both are as good.
        let begin = number.wrapping_mul(WORDS).wrapping_add(self.skipped);
        let words = self.words.get(begin..begin.wrapping_add(WORDS));
        Group::new(words.and_then(<[AtomicU64]>::first_chunk).unwrap_or(&self.nowhere))
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        let words = self.words.get(self.skipped..).unwrap_or_default();
        let groups = usize::try_from(self.groups).unwrap_or(usize::MAX);
        words.as_chunks().0.iter().take(groups).map(Group::new)
    }

    /// How many buckets fit.
    pub(crate) fn slots(&self) -> usize {
        usize::try_from(self.groups).unwrap_or(usize::MAX).saturating_mul(SLOTS)
    }
}

/// Maps 64 random bits evenly to `0..range`, without a division.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "less than the range")]
fn scaled(bits: u64, range: u64) -> usize {
    ((u128::from(bits) * u128::from(range)) >> 64) as usize
}

/// A bucket that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'t> {
    pub(crate) group: Group<'t>,
    pub(crate) spot: Spot,
    /// The version of its group before it was looked for.
    pub(crate) version: Version,
}

/// A group that was looked at: its number, and its version before that.
pub(crate) type Look = (usize, Version);

impl Table {
    /// Looks for a bucket in both of its groups. If it is in neither, the error names them; if it is
    /// in one, whatever was seen of the other does not matter.
    #[inline]
    pub(crate) fn find(&self, home: Home) -> Result<Found<'_>, [Look; 2]> {
        self.find_in(home.first, home.tag).or_else(|first| self.find_in_other(home, first))
    }

    /// Not inlined, because most buckets lie in their first group.
    #[inline(never)]
    fn find_in_other(&self, home: Home, first: Look) -> Result<Found<'_>, [Look; 2]> {
        let other = self.other(home.tag, home.first);
        self.find_in(other, home.tag).map_err(|other| [first, other])
    }

    #[inline]
    fn find_in(&self, number: usize, tag: Tag) -> Result<Found<'_>, Look> {
        let group = self.group(number);
        let version = group.version();
        let slot = group.find(tag).ok_or((number, version))?;
        Ok(Found { group, spot: Spot { group: number, slot }, version })
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("slots", &self.slots()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_two_cache_lines_and_begins_at_one() {
        let table = Table::new(1_000, Pages::Usual).unwrap();
        assert_eq!((SLOTS, WORDS * size_of::<u64>()), (5, ALIGNMENT));
        let first = table.groups().next().unwrap();
        assert_eq!(first.address() % ALIGNMENT, 0);
        assert_eq!(table.groups().count(), 200);
        assert_eq!(table.group(199).address() - first.address(), 199 * ALIGNMENT);
    }

    #[test]
    fn each_group_of_a_key_names_the_other() {
        for groups in [2, 3, 12, 200_000] {
            let table = Table::new(groups * SLOTS, Pages::Usual).unwrap();
            for number in 0..1_000_u64 {
                let bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let key = Key { high: bits.rotate_left(17), low: bits };
                let home = table.home(key);
                let other = table.other(home.tag, home.first);
                assert!(home.first < groups && other < groups);
                assert_eq!(table.other(home.tag, other), home.first);
            }
        }
    }

    #[test]
    fn a_table_that_no_machine_can_hold_is_refused() {
        assert!(Table::new(usize::MAX, Pages::Huge).is_none());
        assert!(Table::new(1 << 55, Pages::Usual).is_none());
    }
}
