//! Items of the field `RateLimit` that were written before.
//!
//! While a client has units left, what it is told depends on their number alone, and of most limits
//! that is a small number. So the item for each is written once, when it is first told, and lasts.
//! How much room that takes is bounded for the whole process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;

use super::forever;
use super::value::{Writing, written};

/// For how many units at most. An item for more is written each time.
const MAX_UNITS: u64 = 1_024;

/// How many bytes all tables together may take. Policies beyond have their items written each time.
const MAX_BYTES: usize = 4 << 20;

/// What is left of them.
static ROOM: AtomicUsize = AtomicUsize::new(MAX_BYTES);

type Place = OnceLock<HeaderValue>;

/// The items of one policy.
#[derive(Debug)]
pub(super) struct Items {
    /// By the number of units; made when a client is first told.
    by_units: OnceLock<Box<[Place]>>,
    count: u64,
}

impl Items {
    /// None yet, for a policy that has so many units.
    pub(super) const fn new(capacity: u64) -> Self {
        Self { by_units: OnceLock::new(), count: capacity.saturating_add(1) }
    }

    /// The item for so many units; `write` writes it if nobody has.
    #[inline]
    pub(super) fn item(&self, units: u64, write: impl FnOnce() -> Writing) -> HeaderValue {
        let items = self.by_units.get_or_init(|| self.places());
        match usize::try_from(units).ok().and_then(|units| items.get(units)) {
            Some(place) => place.get_or_init(|| lasting(&write())).clone(),
            None => written(write()),
        }
    }

    #[cold]
    fn places(&self) -> Box<[Place]> {
        let count = if self.count <= MAX_UNITS { self.count } else { 0 };
        let count = usize::try_from(count).unwrap_or(0);
        // Relaxed, because nothing else is published by the number.
        let less = |room: usize| room.checked_sub(bytes(count));
        let has_room = ROOM.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        (0..if has_room { count } else { 0 }).map(|_| Place::new()).collect()
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        let taken = self.by_units.get().map_or(0, |items| bytes(items.len()));
        ROOM.fetch_add(taken, Ordering::Relaxed);
    }
}

const fn bytes(count: usize) -> usize {
    count * size_of::<Place>()
}

/// Takes a lock, once for each item.
#[cold]
fn lasting(item: &Writing) -> HeaderValue {
    forever::value(item.as_str()).unwrap_or_else(|| written(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writing(text: &str) -> Writing {
        let mut value = Writing::new();
        value.push(text);
        value
    }

    #[test]
    fn an_item_is_written_once_for_each_number_of_units() {
        let items = Items::new(3);
        for _ in 0..3 {
            for (units, text) in [(1, "a"), (3, "c")] {
                assert_eq!(items.item(units, || writing(text)), text);
                assert_eq!(items.item(units, || panic!("it is there")), text);
            }
        }
        // More than the policy has, or than is kept: written each time.
        for text in ["d", "e"] {
            assert_eq!(items.item(4, || writing(text)), text);
            assert_eq!(Items::new(MAX_UNITS).item(1, || writing(text)), text);
        }
    }

    #[test]
    fn all_tables_together_take_no_more_than_there_is_room_for_and_give_it_back() {
        let most = MAX_BYTES / bytes(1_000);
        let fill = || -> Vec<Items> {
            let all: Vec<_> = (0..most + 10).map(|_| Items::new(999)).collect();
            for items in &all {
                assert_eq!(items.item(7, || writing("x")), "x");
            }
            all
        };
        for _ in 0..3 {
            let all = fill();
            let has_table = |items: &&Items| !items.by_units.get().unwrap().is_empty();
            let with_table = all.iter().filter(has_table).count();
            assert!((most / 2..=most).contains(&with_table), "{with_table} of {most}");
        }
    }
}
