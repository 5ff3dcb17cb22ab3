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

/// All receipts that can be settled.
#[derive(Debug, Default)]
pub(crate) struct Receipts(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    kept: HashMap<u128, Receipt>,
    /// In the order in which they expire.
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
        let mut table = self.table();
        table.forget_expired(now_millis);
        table.kept.remove(&u128::from_be_bytes(bytes))
    }

    /// Nothing that is kept can be half done.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn keep(&mut self, name: u128, receipt: Receipt, now_millis: u64) {
        self.forget_expired(now_millis);
        while self.order.len() >= MAX_RECEIPTS {
            self.forget_oldest();
        }
        self.order.push_back((now_millis.saturating_add(LIFETIME_MILLIS), name));
        self.kept.insert(name, receipt);
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
}
