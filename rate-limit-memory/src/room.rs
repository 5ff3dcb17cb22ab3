//! The hard cap: who may come in, and who has to go.
//!
//! Room is reserved before a bucket comes into being, so the number of buckets never exceeds the
//! cap, not even for a moment. When there is no room, the bucket goes that may be forgotten first:
//! one that is as good as new if there is any, otherwise the one with the least debt, measured by
//! the time until it would have been paid. What is lost with it is counted.
//!
//! To make a client's debt the least, an attacker has to run up more debt than that in as many
//! other buckets as the cap allows; unused or nearly full buckets never push out an empty one.

use rate_limit_core::{Clock, Now, Timestamp};

use crate::shard::{Front, Shard};
use crate::store::{Guarded, Store};
use crate::sync::Ordering;

/// How many forgettable slots a call clears from each shard that it has locked anyway. More than
/// one, so that clearing is faster than filling, and few, so that no call pays for many others.
const SWEEP: usize = 4;

/// How long a slot that is as good as new stays before it is cleared although there is room: one
/// second. A busy client's bucket is full again between any two requests if the rate is high;
/// clearing it each time would cost more than keeping it.
const GRACE_NANOS: u64 = 1_000_000_000;

impl<C: Clock> Store<C> {
    /// Reserves room if there is some.
    ///
    /// Relaxed, because the number guards no memory: buckets are only touched under their locks.
    pub(crate) fn try_reserve(&self, room: usize) -> bool {
        let fits = |taken: usize| taken.checked_add(room).filter(|sum| *sum <= self.cap);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// Gives room back.
    pub(crate) fn release(&self, room: usize) {
        self.taken.fetch_sub(room, Ordering::Relaxed);
    }

    /// Reserves room by forgetting other buckets. No shard may be locked by the caller.
    pub(crate) fn make_room(&self, room: usize, now: Now) {
        while !self.try_reserve(room) {
            self.forget_one(now);
        }
    }

    /// Forgets the bucket that may be forgotten first.
    ///
    /// The hints of the shards are lower bounds. A shard whose front, brought up to date, is no
    /// later than every other shard's hint holds the true first one. Under contention the search
    /// may settle for one that was first a moment ago.
    fn forget_one(&self, now: Now) {
        for _ in 0..=self.shards.len() {
            let Some((guarded, next)) = self.most_promising_shard() else {
                return;
            };
            let mut shard = guarded.lock();
            match shard.settle_front(now) {
                // What has expired may go whatever the other shards hold.
                Some((key, forgettable_at)) if forgettable_at <= next.max(now.monotonic) => {
                    self.counters.forgot(forgettable_at.nanos_since(now.monotonic));
                    self.release(self.forget(&mut shard, key));
                    return guarded.publish(&shard);
                }
                _ => guarded.publish(&shard),
            }
        }
    }

    /// The shard with the earliest hint, and the earliest hint of all others.
    fn most_promising_shard(&self) -> Option<(&Guarded, Timestamp)> {
        let (mut best, mut earliest) = (None, Timestamp::LAST);
        let mut next = Timestamp::LAST;
        for guarded in &self.shards {
            let hint = guarded.earliest();
            if best.is_none() || hint < earliest {
                (best, next, earliest) = (Some(&**guarded), earliest, hint);
            } else {
                next = next.min(hint);
            }
        }
        Some((best?, next))
    }

    /// Whether a shard has slots to clear, as far as its hint tells.
    pub(crate) fn is_sweep_due(guarded: &Guarded, now: Now) -> bool {
        guarded.earliest() <= now.monotonic.minus_nanos(GRACE_NANOS)
    }

    /// Clears a few slots that are as good as new. Called with every change of a shard, so that a
    /// flood is cleared by the traffic after it, whatever keys that has.
    pub(crate) fn sweep(&self, shard: &mut Shard, now: Now) {
        let overdue = now.monotonic.minus_nanos(GRACE_NANOS);
        for _ in 0..SWEEP {
            if shard.earliest() > overdue {
                return;
            }
            if let Front::Settled(key, forgettable_at) = shard.touch_front(now) {
                if forgettable_at > overdue {
                    return;
                }
                self.release(self.forget(shard, key));
            }
        }
    }
}
