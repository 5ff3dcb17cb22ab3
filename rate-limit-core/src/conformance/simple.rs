//! The trivially correct store: one lock around everything.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::adjustment::{Adjusted, Adjustments};
use crate::algorithm::BucketState;
use crate::charge::Charges;
use crate::evaluate::{Record, adjust, evaluate};
use crate::identity::ClientIdentity;
use crate::outcome::Outcomes;
use crate::penalty::LadderState;
use crate::policy::RateLimitPolicy;
use crate::repository::{Acquire, Answer, RateLimitRepository, Settle};
use crate::time::{Clock, Now};

/// A map behind one lock, with this crate's own [`evaluate`] inside.
///
/// Correct, unbounded and slow under contention: the yardstick for the suite and a starting point
/// for the author of a store. Applications use `rate-limit-memory`.
#[derive(Debug)]
pub struct SimpleRepository<C> {
    clock: C,
    buckets: Mutex<Buckets>,
}

/// Whose bucket, and under which name.
type Key = (String, ClientIdentity);

/// What is kept of a bucket.
#[derive(Clone, Debug, Default)]
struct Kept {
    bucket: Option<BucketState>,
    ladder: Option<LadderState>,
}

/// All buckets of a store.
#[derive(Debug, Default)]
struct Buckets(HashMap<Key, Kept>);

impl<C: Clock> SimpleRepository<C> {
    /// An empty store.
    pub fn new(clock: C) -> Self {
        Self { clock, buckets: Mutex::default() }
    }
}

impl<C: Clock> RateLimitRepository for SimpleRepository<C> {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let mut buckets = lock(&self.buckets);
        // Read under the lock: an instant read before it could be older than a state already there.
        Answer::ready(buckets.acquire(charges, now(&self.clock)))
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        let mut buckets = lock(&self.buckets);
        let now = now(&self.clock);
        Answer::ready(
            adjustments.iter().map(|adjustment| buckets.adjust(adjustment, now)).collect(),
        )
    }
}

/// A panic elsewhere leaves whole states behind, so a poisoned lock is as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both instants.
pub(super) fn now(clock: &impl Clock) -> Now {
    Now { monotonic: clock.now(), utc: clock.utc_now() }
}

/// The key under which a bucket is kept.
fn key(policy: &RateLimitPolicy, identity: &ClientIdentity) -> Key {
    (policy.bucket_name().to_owned(), identity.clone())
}

impl Buckets {
    /// Tests and takes all charges.
    fn acquire(&mut self, charges: &Charges, now: Now) -> Outcomes {
        let keys: Vec<Key> =
            charges.iter().map(|charge| key(charge.policy(), charge.identity())).collect();
        let mut records: Vec<Record> = keys.iter().map(|key| self.load(key)).collect();
        let outcomes = evaluate(charges, &mut records, now);
        keys.into_iter().zip(records).for_each(|(key, record)| self.save(key, record));
        outcomes
    }

    /// Carries out one adjustment.
    fn adjust(&mut self, adjustment: &crate::Adjustment, now: Now) -> Adjusted {
        let key = key(&adjustment.policy, &adjustment.identity);
        let mut record = self.load(&key);
        let adjusted = adjust(adjustment, &mut record, now);
        self.save(key, record);
        adjusted
    }

    /// What is kept under `key`, ready to be decided on.
    fn load(&self, key: &Key) -> Record {
        let Kept { bucket, ladder } = self.0.get(key).cloned().unwrap_or_default();
        Record { bucket, ladder, ..Record::default() }
    }

    /// Writes back what has changed, and nothing else.
    fn save(&mut self, key: Key, record: Record) {
        if !record.bucket_changed && !record.ladder_changed {
            return;
        }
        let kept = self.0.entry(key).or_default();
        if record.bucket_changed {
            kept.bucket = record.bucket;
        }
        if record.ladder_changed {
            kept.ladder = record.ladder;
        }
    }
}
