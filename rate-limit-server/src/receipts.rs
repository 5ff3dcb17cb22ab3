//! Receipts that callers hold: what was charged can be settled once, for a while, by whoever was told
//! its name.
//!
//! A name is drawn at random and the receipt itself stays here, in a table of fixed size: nothing of
//! what was charged leaves the process, nobody can make a name up, and taking one out is what makes a
//! second settlement impossible. The price is that the instance which decided has to be the one that
//! settles. A receipt that is lost leaves the charge as it is, as everywhere.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rate_limit_core::Receipt;

/// How long a receipt can be settled, in milliseconds.
pub(crate) const LIFETIME_MILLIS: u64 = 10 * 60 * 1_000;

/// Receipts that are kept at most. The oldest ones go first, and leave their charges as they are.
const MAX_RECEIPTS: usize = 100_000;

/// From how many names on it pays to look which of them are of use.
const MANY_NAMES: usize = 1_024;

/// All receipts that can be settled.
#[derive(Debug, Default)]
pub(crate) struct Receipts(Mutex<Table<Receipt>>);

#[derive(Debug)]
struct Table<R> {
    kept: HashMap<u128, R>,
    /// The names in the order in which they expire, and among them those of receipts that were taken
    /// out already: finding each of them here would take too long.
    order: VecDeque<(u64, u128)>,
}

impl Receipts {
    /// Keeps a receipt, and tells its name. `None` if the operating system has no random numbers.
    pub(crate) fn keep(&self, receipt: Receipt, now_millis: u64) -> Option<String> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        self.table().keep(u128::from_be_bytes(bytes), receipt, now_millis);
        Some(hex::encode(bytes))
    }

    /// Takes the receipt of that name out. `None` if there is none, or not any more.
    pub(crate) fn take(&self, name: &str, now_millis: u64) -> Option<Receipt> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(name, &mut bytes).ok()?;
        self.table().take(u128::from_be_bytes(bytes), now_millis)
    }

    /// Nothing that is kept can be half done.
    fn table(&self) -> MutexGuard<'_, Table<Receipt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Table<R> {
    fn keep(&mut self, name: u128, receipt: R, now_millis: u64) {
        self.forget_expired(now_millis);
        // Only those that can still be settled take a place from others.
        while self.kept.len() >= MAX_RECEIPTS {
            self.forget_oldest();
        }
        self.order.push_back((now_millis.saturating_add(LIFETIME_MILLIS), name));
        self.kept.insert(name, receipt);
    }

    fn take(&mut self, name: u128, now_millis: u64) -> Option<R> {
        self.forget_expired(now_millis);
        let taken = self.kept.remove(&name)?;
        self.forget_taken();
        Some(taken)
    }

    fn forget_expired(&mut self, now_millis: u64) {
        while self.order.front().is_some_and(|(until, _)| *until <= now_millis) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, name)) = self.order.pop_front() {
            self.kept.remove(&name);
        }
    }

    /// Drops names of which nothing is kept: those at the front at once, and the others when they are
    /// more than half of all, so that each of them is looked at a few times only.
    fn forget_taken(&mut self) {
        while self.order.front().is_some_and(|(_, name)| !self.kept.contains_key(name)) {
            self.order.pop_front();
        }
        if self.order.len() > MANY_NAMES.max(2 * self.kept.len()) {
            self.order.retain(|(_, name)| self.kept.contains_key(name));
        }
    }
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { kept: HashMap::new(), order: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000;

    /// What a receipt is good for does not matter here.
    fn table() -> Table<()> {
        Table::default()
    }

    #[test]
    fn a_receipt_is_good_for_its_lifetime_and_once() {
        let mut table = table();
        for name in [1, 2, 3] {
            table.keep(name, (), START);
        }
        let end = START + LIFETIME_MILLIS;
        assert_eq!(table.take(1, end - 1), Some(()));
        assert_eq!(table.take(1, end - 1), None, "once");
        assert_eq!(table.take(2, end), None, "a millisecond too late");
        assert_eq!((table.kept.len(), table.order.len()), (0, 0), "what has expired is not kept");
    }

    #[test]
    fn one_too_many_costs_the_oldest() {
        let mut table = table();
        for name in 0..=MAX_RECEIPTS as u128 {
            table.keep(name, (), START);
        }
        assert_eq!(table.kept.len(), MAX_RECEIPTS);
        assert_eq!(table.take(0, START), None);
        assert_eq!(table.take(1, START), Some(()));
    }

    /// One that waits was lost within seconds when enough others were settled meanwhile.
    #[test]
    fn those_that_are_settled_take_no_place() {
        let mut table = table();
        let many = 3 * MAX_RECEIPTS as u128;
        table.keep(0, (), START);
        for name in 1..=many {
            table.keep(name, (), START);
            assert_eq!(table.take(name, START), Some(()));
            assert!(table.order.len() <= MANY_NAMES + 1, "{}", table.order.len());
        }
        assert_eq!(table.take(0, START + LIFETIME_MILLIS - 1), Some(()));
        assert_eq!(table.order.len(), 0);
    }

    /// The names are bounded too, in whatever order receipts are settled.
    #[test]
    fn names_are_at_most_twice_what_is_kept() {
        let mut table = table();
        let all = MAX_RECEIPTS as u128 / 2;
        for round in 0..3 {
            let names = round * all..(round + 1) * all;
            names.clone().for_each(|name| table.keep(name, (), START));
            // The newest first, so that no name reaches the front, and one in a hundred waits.
            for name in names.rev().filter(|name| name % 100 != 0) {
                assert_eq!(table.take(name, START), Some(()));
                assert!(table.order.len() <= MANY_NAMES.max(2 * table.kept.len()));
            }
        }
        assert_eq!(table.kept.len() as u128, 3 * all / 100);
        for name in (0..3 * all).step_by(100) {
            assert_eq!(table.take(name, START), Some(()), "{name}");
        }
    }
}
