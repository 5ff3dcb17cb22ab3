//! Stores with a deliberate fault, and the test that each of them fails.
//!
//! The suite of the core has its own collection; these are the faults that only a bounded store
//! in memory can have.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};

use rate_limit_core::{
    Acquire, Adjusted, Adjustments, Algorithm, Answer, BucketRule, Charges, Clock, ManualClock,
    Now, Outcome, Outcomes, PolicyVerdict, RateLimitRepository, Record, Settle, Timestamp,
    TokenBucketState, Wait, evaluate,
};

use crate::bounded;
use crate::clocks;
use crate::contention;

/// Drops the bucket that came first when it is full, however deep in debt it is.
struct OldestGoes {
    buckets: Mutex<ByAge>,
    clock: ManualClock,
    cap: usize,
}

/// Buckets by key, and the keys in the order in which they came.
type ByAge = (HashMap<Vec<u8>, Record>, VecDeque<Vec<u8>>);

/// Reads under one lock and writes under another.
///
/// So that the race need not be waited for, the first call of every thread meets those of the
/// others between the two.
struct TestThenSet {
    buckets: Mutex<HashMap<Vec<u8>, Record>>,
    clock: ManualClock,
    calls: AtomicUsize,
    between: Barrier,
}

/// Believes what it has stored, however far in the future that lies.
struct Unclamped {
    full_at: Mutex<HashMap<Vec<u8>, Timestamp>>,
    clock: ManualClock,
}

fn now(clock: &ManualClock) -> Now {
    Now { monotonic: clock.now(), utc: clock.utc_now() }
}

fn key(charges: &Charges) -> Vec<u8> {
    let charge = charges.get(0).expect("these tests charge one bucket");
    [charge.identity().as_bytes(), charge.policy().bucket_name().as_bytes()].concat()
}

fn nothing_to_settle(adjustments: &Adjustments) -> Settle {
    Answer::ready(adjustments.iter().map(|_| Adjusted::default()).collect())
}

impl RateLimitRepository for OldestGoes {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (records, order) = &mut *buckets;
        let key = key(charges);
        if !records.contains_key(&key) {
            if records.len() == self.cap {
                order.pop_front().map(|oldest| records.remove(&oldest));
            }
            order.push_back(key.clone());
        }
        let record = records.entry(key).or_default();
        Answer::ready(evaluate(charges, std::slice::from_mut(record), now(&self.clock)))
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        nothing_to_settle(adjustments)
    }
}

impl RateLimitRepository for TestThenSet {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let key = key(charges);
        let lock = || self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = lock().get(&key).cloned().unwrap_or_default();
        if self.calls.fetch_add(1, Ordering::SeqCst) < contention::THREADS {
            self.between.wait();
        }
        let outcomes = evaluate(charges, std::slice::from_mut(&mut record), now(&self.clock));
        lock().insert(key, record);
        Answer::ready(outcomes)
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        nothing_to_settle(adjustments)
    }
}

impl RateLimitRepository for Unclamped {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let charge = charges.get(0).expect("these tests charge one bucket");
        let Algorithm::TokenBucket(rule) = charge.policy().algorithm() else { unreachable!() };
        let now = self.clock.now();
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.entry(key(charges)).or_insert(now);
        let mut state = TokenBucketState { full_at: *full_at };
        let wait = rule.wait(&state, now, charge.units());
        let charged = (wait == Wait::Now).then(|| rule.charge(&mut state, now, charge.units()));
        *full_at = state.full_at;
        let verdict = if charged.is_some() { PolicyVerdict::Admit } else { PolicyVerdict::Deny };
        let remaining = rule.remaining(&state, now);
        let reset_nanos = rule.reset_nanos(&state, now);
        Answer::ready(Outcomes::one(Outcome { verdict, remaining, reset_nanos, wait, charged }))
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        nothing_to_settle(adjustments)
    }
}

#[test]
fn an_unclamped_clock_fails_g10() {
    let clock = ManualClock::new();
    let store = Unclamped { full_at: Mutex::default(), clock: clock.clone() };
    let failure = clocks::g10(&store, &clock).expect_err("it believes half an hour of debt");
    assert!(failure.contains("locked out for"), "{failure}");
}

#[test]
fn an_eviction_that_prefers_the_oldest_fails_m02() {
    let clock = ManualClock::new();
    let store = OldestGoes { buckets: Mutex::default(), clock, cap: bounded::CAP };
    let failure = bounded::m02(&store).expect_err("the oldest bucket was the exhausted one");
    assert!(failure.contains("washed off"), "{failure}");
}

#[test]
fn a_test_then_set_fails_c02() {
    let store = TestThenSet {
        buckets: Mutex::default(),
        clock: ManualClock::new(),
        calls: AtomicUsize::new(0),
        between: Barrier::new(contention::THREADS),
    };
    let admitted = contention::c02(&store, 2_000);
    assert!(admitted > 1_000, "admitted {admitted}, which a store that races does not keep to");
}
