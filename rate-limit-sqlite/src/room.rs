//! The hard cap: who has to go when there is no room, and what is cleared without need.
//!
//! When there is no room, the row goes that may be forgotten first: one that is as good as new if
//! there is any, otherwise one in debt, the least first, measured by the time until it would have
//! been paid. What is lost with it is counted. To make a client's debt the least, an attacker has to
//! run up more debt than that in as many other buckets as the cap allows.
//!
//! The queue is ordered by lower bounds (see `file.rs`), so its front may owe more by now. At most
//! [`LOOK`] rows of each axis are looked at for each row that has to go; those that turn out to be
//! queued too early are brought back to where they belong. A store that was full of such rows
//! forgets the least debt among these, and has the right order back after a few more.

use rate_limit_core::{Now, TimeAxis, Timestamp};

use crate::buckets::{Session, axis_number, in_queue, out_of_queue};
use crate::key::Key;
use crate::stored;

const AXES: [TimeAxis; 2] = [TimeAxis::Monotonic, TimeAxis::Utc];

/// How many rows are looked at to find one that may go: well below a millisecond.
const LOOK: usize = 32;

/// Rows that a transaction clears beside those that it wrote itself, and how many it clears at most.
/// It clears more than it fills, so a flood is cleared by the traffic after it, and few enough that
/// no decision waits for thousands of others.
const CLEAR_BESIDE: usize = 8;
const CLEAR_AT_MOST: usize = 512;

/// How long a row that is as good as new stays although there is room: one second. A busy client's
/// bucket is full again between any two requests if the rate is high; clearing it each time would
/// cost more than keeping it.
const GRACE_NANOS: u64 = 1_000_000_000;

/// A row that may have to go.
#[derive(Clone, Copy)]
struct Candidate {
    key: Key,
    weight: u32,
    full_at: Timestamp,
    debt_nanos: u64,
}

impl Session {
    /// Makes sure that `more` fits, by forgetting other rows than `own`. `false` if it cannot fit
    /// beside them.
    pub(crate) fn make_room(&mut self, more: u64, own: &[Key], now: Now) -> rusqlite::Result<bool> {
        while self.book.taken.saturating_add(more) > self.cap {
            if !self.forget_one(own, now)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Forgets the row that may be forgotten first; `false` if there is none but `own`.
    fn forget_one(&mut self, own: &[Key], now: Now) -> rusqlite::Result<bool> {
        let mut least: Option<Candidate> = None;
        for axis in AXES {
            let candidate = self.least_in_debt(axis, own, now)?;
            let is_less = |one: &Candidate, other: &Candidate| one.debt_nanos < other.debt_nanos;
            if let Some(candidate) = candidate
                && least.as_ref().is_none_or(|least| is_less(&candidate, least))
            {
                least = Some(candidate);
            }
        }
        let Some(Candidate { key, weight, debt_nanos, .. }) = least else {
            return Ok(false);
        };
        self.remove(key, weight)?;
        if debt_nanos > 0 {
            self.book.evicted_in_debt += 1;
            self.book.forgiven_nanos = self.book.forgiven_nanos.saturating_add(debt_nanos);
        } else {
            self.book.cleared += 1;
        }
        Ok(true)
    }

    /// The row of `axis` that may be forgotten first, among those at the front of its queue.
    fn least_in_debt(
        &mut self,
        axis: TimeAxis,
        own: &[Key],
        now: Now,
    ) -> rusqlite::Result<Option<Candidate>> {
        let mut least: Option<Candidate> = None;
        for (key, found) in self.front(axis, own.len() + LOOK)? {
            // All that follow owe at least this much.
            if least.is_some_and(|least| least.full_at <= out_of_queue(found.queued)) {
                break;
            }
            let full_at = stored::full_at(&found.bytes);
            if in_queue(full_at) > found.queued {
                self.requeue(key, full_at)?;
            }
            if own.contains(&key) || least.is_some_and(|least| least.full_at <= full_at) {
                continue;
            }
            let debt_nanos = full_at.nanos_since(now.on(axis));
            least = Some(Candidate { key, weight: found.weight, full_at, debt_nanos });
        }
        Ok(least)
    }

    /// Clears a few rows that have been as good as new for a while. Called at the end of each
    /// transaction that has changed something.
    pub(crate) fn clear_expired(&mut self, now: Now) -> rusqlite::Result<()> {
        let mut budget = (2 * self.book.written + CLEAR_BESIDE).min(CLEAR_AT_MOST);
        for axis in AXES {
            let overdue = now.on(axis).minus_nanos(GRACE_NANOS);
            let earliest = |session: &Self| session.book.earliest.get(axis_number(axis)).copied();
            while budget > 0 && earliest(self).is_some_and(|earliest| earliest <= overdue) {
                budget -= self.clear_some(axis, overdue, budget.min(LOOK))?;
            }
        }
        Ok(())
    }

    /// Looks at up to `count` rows at the front of the queue, which is at least one, and clears those
    /// that are overdue. Returns how many it has looked at, at least one.
    fn clear_some(
        &mut self,
        axis: TimeAxis,
        overdue: Timestamp,
        count: usize,
    ) -> rusqlite::Result<usize> {
        let front = self.front(axis, count)?;
        let looked_at = front.len().max(1);
        // Where the queue ends before `count`, nothing is left that could be overdue.
        let mut next = if front.len() < count { Timestamp::LAST } else { Timestamp::ORIGIN };
        for (key, found) in front {
            if out_of_queue(found.queued) > overdue {
                next = out_of_queue(found.queued);
                break;
            }
            let full_at = stored::full_at(&found.bytes);
            if full_at > overdue {
                self.requeue(key, full_at)?;
                next = next.min(full_at);
            } else {
                self.remove(key, found.weight)?;
                self.book.cleared += 1;
            }
        }
        if let Some(earliest) = self.book.earliest.get_mut(axis_number(axis)) {
            *earliest = next;
        }
        Ok(looked_at)
    }
}
