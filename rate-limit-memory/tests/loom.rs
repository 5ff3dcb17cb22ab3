//! Every interleaving of two or three threads at one store (case C01).
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p rate-limit-memory --test loom --release`.

#![cfg(loom)]
#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use rate_limit_core::{
    Answer, Charge, Charges, ClientIdentity, ManualClock, RateLimitPolicy, RateLimitRepository,
};
use rate_limit_memory::MemoryRepository;

fn policy(name: &str, limit: u64) -> Arc<RateLimitPolicy> {
    Arc::new(RateLimitPolicy::per_minute(limit).named(name).build().unwrap())
}

fn store() -> Arc<MemoryRepository<ManualClock>> {
    Arc::new(MemoryRepository::builder().clock(ManualClock::new()).build().unwrap())
}

fn passes(store: &MemoryRepository<ManualClock>, charges: &Charges) -> u64 {
    let Answer::Ready(outcomes) = store.acquire(charges) else { return 0 };
    u64::from(outcomes.unwrap().iter().all(|outcome| !outcome.is_violated()))
}

fn admitted_by(threads: Vec<Vec<Charges>>) -> u64 {
    let store = store();
    let threads: Vec<_> = threads
        .into_iter()
        .map(|requests| {
            let store = store.clone();
            loom::thread::spawn(move || {
                requests.iter().map(|charges| passes(&store, charges)).sum::<u64>()
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}

#[test]
fn c01_two_threads_on_one_bucket_never_take_more_than_the_burst() {
    loom::model(|| {
        let one = || Charges::one(Charge::new(ClientIdentity::GLOBAL, policy("p", 3), 1));
        assert_eq!(admitted_by(vec![vec![one(), one()], vec![one(), one()]]), 3);
    });
}

#[test]
fn c01_three_threads_on_one_bucket_never_take_more_than_the_burst() {
    loom::model(|| {
        let one = || Charges::one(Charge::new(ClientIdentity::GLOBAL, policy("p", 2), 1));
        assert_eq!(admitted_by(vec![vec![one()], vec![one()], vec![one()]]), 2);
    });
}

#[test]
fn c01_crossed_orders_of_two_buckets_neither_deadlock_nor_split() {
    loom::model(|| {
        let user = ClientIdentity::user("u").unwrap();
        let both = |crossed: bool| {
            let mut both = [
                Charge::new(user.clone(), policy("own", 1), 1),
                Charge::new(ClientIdentity::GLOBAL, policy("common", 5), 1),
            ];
            if crossed {
                both.reverse();
            }
            both.into_iter().collect::<Charges>()
        };
        assert_eq!(admitted_by(vec![vec![both(false)], vec![both(true)]]), 1);
    });
}
