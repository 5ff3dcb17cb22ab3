//! The groups that a call may write, all at once.

use smallvec::SmallVec;

use crate::group::{Group, Version, Writing};
use crate::table::Table;

/// Groups that were read, each with the version under which it was.
pub(crate) type Seen = SmallVec<[(usize, Version); 8]>;

/// Groups that this call may write, by ascending number.
#[derive(Debug)]
pub(crate) struct Held<'t> {
    groups: SmallVec<[(usize, Writing<'t>); 8]>,
}

impl<'t> Held<'t> {
    /// All groups that were seen if none of them has changed since, otherwise none.
    ///
    /// Ascending, so that of several calls that want the same groups one gets all of them.
    #[inline]
    pub(crate) fn unchanged(table: &'t Table, seen: &mut Seen) -> Option<Self> {
        if seen.len() > 1 {
            seen.sort_unstable_by_key(|(number, _)| *number);
            // A group that was seen under two versions stays twice and cannot be had twice.
            seen.dedup();
        }
        let mut groups = SmallVec::new();
        for (number, version) in seen {
            groups.push((*number, table.group(*number).try_write(*version)?));
        }
        Some(Self { groups })
    }

    /// All groups with these numbers, waiting for whoever else writes them.
    ///
    /// Only ascending, so no two calls wait for each other; all other calls wait for nothing while
    /// they hold a group.
    pub(crate) fn waiting(table: &'t Table, mut numbers: SmallVec<[usize; 8]>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        let hold = |number: usize| (number, table.group(number).write());
        Self { groups: numbers.into_iter().map(hold).collect() }
    }

    pub(crate) fn group(&self, number: usize) -> Option<Group<'t>> {
        self.groups.iter().find(|(held, _)| *held == number).map(|(_, writing)| writing.group)
    }

    pub(crate) fn group_mut(&mut self, number: usize) -> Option<&mut Writing<'t>> {
        self.groups.iter_mut().find(|(held, _)| *held == number).map(|(_, writing)| writing)
    }
}
