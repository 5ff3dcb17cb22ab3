//! A small store whose buckets come and go while threads charge them, ask for several at once, give
//! back, and change their policies: many courses of events, drawn at random, of a table that is too
//! large for loom to explore all of them. Each ordering counts as the strongest here; what orderings
//! are worth is for loom to see.
//!
//! Run with `RUSTFLAGS="--cfg shuttle" cargo test -p rate-limit-memory --test shuttle --release`. In
//! this model the smallest store has two groups of five buckets. A course of events that fails is
//! printed and can be replayed.

#![cfg(shuttle)]
#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::{
    Adjustment, Adjustments, Answer, Change, Charge, Charges, ClientIdentity, ManualClock, Mode,
    Outcomes, PenaltyLadder, PolicyVerdict, RateLimitPolicy, RateLimitRepository,
};
use rate_limit_memory::MemoryRepository;
use shuttle::rand::Rng;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

type Store = MemoryRepository<ManualClock>;

/// As many keys as the smallest store holds.
const CAP: usize = 10;

/// Half as many clients again as the store has places.
const CLIENTS: usize = 15;

/// Courses of events that are drawn of each model, in each of two ways.
const COURSES: usize = 20_000;

fn store(clock: &ManualClock) -> Arc<Store> {
    Arc::new(MemoryRepository::builder().clock(clock.clone()).max_keys(CAP).build().unwrap())
}

fn user(number: usize) -> ClientIdentity {
    ClientIdentity::user(number.to_string()).unwrap()
}

fn acquire(store: &Store, charges: &Charges) -> Outcomes {
    let Answer::Ready(outcomes) = store.acquire(charges) else { unreachable!() };
    outcomes.unwrap()
}

/// Draws courses of events in two ways: any thread may go on at each step, and threads have
/// priorities that change at few steps, which finds what needs a certain order of few.
fn explore(model: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(model.clone(), COURSES);
    shuttle::check_pct(model, COURSES, 3);
}

/// Three versions of one policy, whose buckets are empty after a hundred seconds of debt: enforced,
/// twice as fast with twice the burst, and being tried out.
fn versions() -> [Arc<RateLimitPolicy>; 3] {
    let slow = RateLimitPolicy::per_second(1).burst(100).build().unwrap();
    let fast = RateLimitPolicy::per_second(2).burst(200).build().unwrap();
    let tried_out = slow.in_mode(Mode::Shadow);
    [slow, fast, tried_out].map(Arc::new)
}

/// What a unit takes of a bucket.
fn unit_nanos(policy: &RateLimitPolicy) -> u64 {
    1_000_000_000 / policy.limit()
}

/// Asks for one bucket, two or three of random clients, each under a version of the policy, and gives
/// back some of what was charged. Returns how many nanoseconds of debt came of it.
///
/// Only the fast version gives back: the debt of a bucket is always so many of its units, while half a
/// unit of the slow ones counts as a whole one when it is returned.
fn ask(store: &Store, versions: &[Arc<RateLimitPolicy>; 3]) -> u64 {
    let mut random = shuttle::rand::thread_rng();
    let charges: Charges = (0..random.gen_range(1..=3_usize))
        .map(|_| {
            let client = random.gen_range(0..CLIENTS);
            let version = &versions[random.gen_range(0..versions.len())];
            Charge::new(user(client), version.clone(), random.gen_range(0..60))
        })
        .collect();
    let outcomes = acquire(store, &charges);
    let pairs = || charges.iter().zip(outcomes.iter());
    let is_denied =
        pairs().any(|(charge, outcome)| charge.policy().is_enforced() && outcome.is_violated());
    let mut nanos = 0;
    for (charge, outcome) in pairs() {
        let Some(charged) = outcome.charged else { continue };
        assert!(!is_denied, "a request was charged in part: {outcomes:?}");
        let (policy, mut units) = (charge.policy(), charge.units());
        if Arc::ptr_eq(policy, &versions[1]) && random.gen_bool(0.5) {
            let back = Adjustment {
                identity: charge.identity().clone(),
                policy: policy.clone(),
                charged,
                units,
                change: Change::Refund(units),
            };
            let adjustments: Adjustments = [back].into_iter().collect();
            let Answer::Ready(settled) = store.settle(&adjustments) else { unreachable!() };
            units -= settled.unwrap().total().returned;
        }
        nanos += units * unit_nanos(policy);
    }
    nanos
}

/// Promise G1: what was taken and not given back is owed, or was counted as forgiven when its bucket
/// went, to the nanosecond.
#[test]
fn g1_nothing_is_lost_or_gained_while_buckets_come_and_go_and_policies_change() {
    // Of the standard library, because all courses count here and none is to meet another.
    let evicted = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let all_evicted = evicted.clone();
    explore(move || {
        let (store, versions) = (store(&ManualClock::new()), versions());
        let taken_nanos = Arc::new(AtomicU64::new(0));
        // The store is full of debts before it begins.
        for client in 0..CLIENTS {
            let one = Charges::one(Charge::new(user(client), versions[0].clone(), 10));
            assert!(acquire(&store, &one).iter().all(|outcome| !outcome.is_violated()));
            taken_nanos.fetch_add(10 * unit_nanos(&versions[0]), Ordering::SeqCst);
        }
        let evicted_before = store.stats().evicted_in_debt;
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (store, versions, taken_nanos) =
                    (store.clone(), versions.clone(), taken_nanos.clone());
                thread::spawn(move || {
                    for _ in 0..4 {
                        taken_nanos.fetch_add(ask(&store, &versions), Ordering::SeqCst);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let owed = |client| {
            let asking = Charges::one(Charge::new(user(client), versions[0].clone(), 0));
            acquire(&store, &asking).get(0).unwrap().reset_nanos
        };
        let owed_nanos: u64 = (0..CLIENTS).map(owed).sum();
        let stats = store.stats();
        assert!(stats.taken <= CAP, "{stats:?}");
        let accounted = Duration::from_nanos(owed_nanos) + stats.forgiven;
        assert_eq!(accounted, Duration::from_nanos(taken_nanos.load(Ordering::SeqCst)));
        evicted.fetch_add(stats.evicted_in_debt - evicted_before, Ordering::Relaxed);
    });
    let evicted = all_evicted.load(Ordering::Relaxed);
    assert!(evicted > COURSES as u64, "{evicted} evictions while threads ran are too few");
}

/// A client whose place on a penalty ladder lies aside, while the operator sets the limit from two
/// units an hour to three, and more strangers come than the table has places. Three requests pass and
/// three are strikes, whatever meets what: the fourth strike starts the ban.
#[test]
fn a_laddered_client_gets_its_limit_and_each_strike_while_strangers_come() {
    explore(|| {
        let store = store(&ManualClock::new());
        let ladder = PenaltyLadder::after(4, Duration::from_secs(60));
        let version = |limit| {
            let builder = RateLimitPolicy::per_hour(limit).named("login").fixed_window();
            Arc::new(builder.penalty(ladder).build().unwrap())
        };
        let [few, more] = [version(2), version(3)];
        let verdict = |store: &Store, policy: &Arc<RateLimitPolicy>, units| {
            let one = Charges::one(Charge::new(user(0), policy.clone(), units));
            acquire(store, &one).get(0).unwrap().verdict
        };
        let passed = Arc::new(AtomicU64::new(0));
        let mut threads = Vec::new();
        for version in [few, more.clone()] {
            let (store, passed) = (store.clone(), passed.clone());
            threads.push(thread::spawn(move || {
                for _ in 0..3 {
                    let passes = verdict(&store, &version, 1) == PolicyVerdict::Admit;
                    passed.fetch_add(u64::from(passes), Ordering::SeqCst);
                }
            }));
        }
        let (same_store, [stranger, ..]) = (store.clone(), versions());
        threads.push(thread::spawn(move || {
            for client in 1..CLIENTS {
                let one = Charges::one(Charge::new(user(client), stranger.clone(), 1));
                acquire(&same_store, &one);
            }
        }));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(store.stats().evicted_in_debt > 0, "{:?}", store.stats());
        assert_eq!(passed.load(Ordering::SeqCst), 3);
        assert_eq!(verdict(&store, &more, 0), PolicyVerdict::Admit, "three strikes are no ban");
        assert_eq!(verdict(&store, &more, 1), PolicyVerdict::Ban);
    });
}
