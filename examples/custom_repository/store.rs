//! The store: a map behind one lock.
//!
//! The decisions are those of `rate_limit_core`, which leaves three things to a store: to find the
//! buckets, to let nobody else touch them meanwhile, and to keep what has changed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rate_limit_core::{
    Acquire, Adjustments, Answer, Charges, ClientIdentity, Clock, Now, RateLimitPolicy,
    RateLimitRepository, Record, Settle, adjust, evaluate,
};

/// Keeps every contract of the port but one: it forgets nothing, so a flood of addresses fills the
/// memory. A real store has a cap.
#[derive(Debug)]
pub(crate) struct MapRepository<C> {
    clock: C,
    buckets: Mutex<HashMap<Key, Record>>,
}

/// The name contains the algorithm, so that a changed algorithm is a new bucket.
type Key = (String, ClientIdentity);

impl<C: Clock> MapRepository<C> {
    pub(crate) fn new(clock: C) -> Self {
        Self { clock, buckets: Mutex::default() }
    }

    /// How many buckets there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// A panic elsewhere leaves whole records behind, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called under the lock: an instant that was read before could be older than a bucket.
    fn now(&self) -> Now {
        Now { monotonic: self.clock.now(), utc: self.clock.utc_now() }
    }
}

impl<C: Clock> RateLimitRepository for MapRepository<C> {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let mut buckets = self.lock();
        let keys: Vec<Key> =
            charges.iter().map(|charge| key(charge.policy(), charge.identity())).collect();
        let mut records: Vec<Record> = keys.iter().map(|key| load(&buckets, key)).collect();
        let outcomes = evaluate(charges, &mut records, self.now());
        for (key, record) in keys.into_iter().zip(records) {
            save(&mut buckets, key, record);
        }
        Answer::ready(outcomes)
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        let mut buckets = self.lock();
        let now = self.now();
        let settle_one = |adjustment: &rate_limit_core::Adjustment| {
            let key = key(&adjustment.policy, &adjustment.identity);
            let mut record = load(&buckets, &key);
            let adjusted = adjust(adjustment, &mut record, now);
            save(&mut buckets, key, record);
            adjusted
        };
        Answer::ready(adjustments.iter().map(settle_one).collect())
    }
}

fn key(policy: &RateLimitPolicy, identity: &ClientIdentity) -> Key {
    (policy.bucket_name().to_owned(), identity.clone())
}

/// What is kept under `key`, not yet marked as changed.
fn load(buckets: &HashMap<Key, Record>, key: &Key) -> Record {
    let kept = buckets.get(key).cloned().unwrap_or_default();
    Record { bucket_changed: false, ladder_changed: false, ..kept }
}

/// Keeps the parts that have changed. A denial changes none, and must not write.
fn save(buckets: &mut HashMap<Key, Record>, key: Key, record: Record) {
    if !record.bucket_changed && !record.ladder_changed {
        return;
    }
    let kept = buckets.entry(key).or_default();
    if record.bucket_changed {
        kept.bucket = record.bucket;
    }
    if record.ladder_changed {
        kept.ladder = record.ladder;
    }
}
