//! One shard of the store: slots, an index to find them by key, and a queue to find the one that
//! may be forgotten first.
//!
//! The queue is a binary heap of slot numbers, ordered by [`Slot::queued_at`]. Charging a bucket
//! moves its end into the future and leaves the queue alone, so the order in the queue is a lower
//! bound of the true one; [`Shard::settle_front`] moves the front back until it is true. This keeps
//! the queue off the path of a request, and exact where it is looked at.

use hashbrown::HashTable;
use rate_limit_core::{Now, Timestamp};

use crate::key::Key;
use crate::slot::Slot;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    index: HashTable<u32>,
    slots: Vec<Slot>,
    queue: Vec<u32>,
}

/// What the front of the queue is.
pub(crate) enum Front {
    /// There is none.
    Empty,
    /// It was not the first one after all, and was moved back.
    Moved,
    /// The slot under this key may be forgotten first, from this instant.
    Settled(Key, Timestamp),
}

impl Shard {
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// The number of the slot under a key. It stays the same until a slot is removed.
    pub(crate) fn find(&self, key: Key) -> Option<u32> {
        self.index.find(key.low, |number| self.is_at(*number, key)).copied()
    }

    pub(crate) fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(number as usize)
    }

    pub(crate) fn slot_mut(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.get_mut(number as usize)
    }

    /// Adds a slot under a key that has none.
    pub(crate) fn insert(&mut self, mut slot: Slot) {
        let number = number(self.slots.len());
        let slots = &self.slots;
        self.index.insert_unique(slot.key.low, number, |other| {
            slots.get(*other as usize).map_or(0, |slot| slot.key.low)
        });
        slot.queue_index = number;
        self.slots.push(slot);
        self.queue.push(number);
        self.raise(self.queue.len() - 1);
    }

    /// Removes the slot under a key.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Slot> {
        let found = self.index.find_entry(key.low, |number| {
            self.slots.get(*number as usize).is_some_and(|slot| slot.key == key)
        });
        let (removed, _) = found.ok()?.remove();
        self.unqueue(self.slots.get(removed as usize)?.queue_index as usize);
        let slot = self.slots.swap_remove(removed as usize);
        self.renumber(number(self.slots.len()), removed);
        Some(slot)
    }

    /// Moves a slot forward in the queue after its end has come closer.
    pub(crate) fn requeue(&mut self, number: u32, now: Now) {
        let Some(slot) = self.slots.get_mut(number as usize) else {
            return;
        };
        let forgettable_at = slot.forgettable_at(now);
        if forgettable_at < slot.queued_at {
            slot.queued_at = forgettable_at;
            let index = slot.queue_index as usize;
            self.raise(index);
        }
    }

    /// A lower bound of the instant from which the first slot may be forgotten;
    /// [`Timestamp::LAST`] if there is none.
    pub(crate) fn earliest(&self) -> Timestamp {
        let front = self.queue.first().and_then(|number| self.slots.get(*number as usize));
        front.map_or(Timestamp::LAST, |slot| slot.queued_at)
    }

    /// Looks at the front of the queue, and moves it back if it has been charged since it was
    /// queued.
    pub(crate) fn touch_front(&mut self, now: Now) -> Front {
        let number = self.queue.first().copied();
        let Some(slot) = number.and_then(|number| self.slots.get_mut(number as usize)) else {
            return Front::Empty;
        };
        let forgettable_at = slot.forgettable_at(now);
        if forgettable_at <= slot.queued_at {
            return Front::Settled(slot.key, forgettable_at);
        }
        slot.queued_at = forgettable_at;
        self.lower(0);
        Front::Moved
    }

    /// Brings the slot that may be forgotten first to the front of the queue and returns its key
    /// and that instant.
    ///
    /// Each turn of the loop makes up for one or more charges since the slot was last queued, so
    /// the cost is amortised over them.
    pub(crate) fn settle_front(&mut self, now: Now) -> Option<(Key, Timestamp)> {
        loop {
            match self.touch_front(now) {
                Front::Empty => return None,
                Front::Moved => {}
                Front::Settled(key, forgettable_at) => return Some((key, forgettable_at)),
            }
        }
    }

    fn is_at(&self, number: u32, key: Key) -> bool {
        self.slots.get(number as usize).is_some_and(|slot| slot.key == key)
    }

    /// Gives the slot that was numbered `from` the number `to`.
    fn renumber(&mut self, from: u32, to: u32) {
        let Some((key, queue_index)) =
            self.slots.get(to as usize).map(|slot| (slot.key, slot.queue_index))
        else {
            return; // The removed slot was the last one.
        };
        if let Some(number) = self.index.find_mut(key.low, |number| *number == from) {
            *number = to;
        }
        if let Some(place) = self.queue.get_mut(queue_index as usize) {
            *place = to;
        }
    }

    fn unqueue(&mut self, index: usize) {
        self.queue.swap_remove(index);
        if index < self.queue.len() {
            self.note_place(index);
            self.raise(index);
            self.lower(index);
        }
    }

    fn queued_at(&self, index: usize) -> Timestamp {
        let slot = self.queue.get(index).and_then(|number| self.slots.get(*number as usize));
        slot.map_or(Timestamp::LAST, |slot| slot.queued_at)
    }

    fn raise(&mut self, mut index: usize) {
        while index > 0 {
            let parent = (index - 1) / 2;
            if self.queued_at(parent) <= self.queued_at(index) {
                break;
            }
            self.swap(parent, index);
            index = parent;
        }
        self.note_place(index);
    }

    fn lower(&mut self, mut index: usize) {
        loop {
            let (left, right) = (2 * index + 1, 2 * index + 2);
            let child = if self.queued_at(right) < self.queued_at(left) { right } else { left };
            if child >= self.queue.len() || self.queued_at(index) <= self.queued_at(child) {
                break;
            }
            self.swap(index, child);
            index = child;
        }
        self.note_place(index);
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.queue.swap(one, other);
        self.note_place(one);
        self.note_place(other);
    }

    fn note_place(&mut self, index: usize) {
        let slot = self.queue.get(index).and_then(|number| self.slots.get_mut(*number as usize));
        if let Some(slot) = slot {
            slot.queue_index = number(index);
        }
    }
}

/// The cap of the store fits 32 bits, and so does every count below it.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
