//! Every interleaving of two or three threads at one store (case C01).
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p rate-limit-memory --lib --test loom --release`. In this
//! model the smallest store has two groups of two buckets.
//!
//! Threads are taken off their processor at most one to three times in one course of events;
//! without that bound the model would not come to an end. Mistakes in the protocol that were made on
//! purpose show with less.

#![cfg(loom)]
#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicU64, Ordering};
use rate_limit_core::{
    Adjustment, Adjustments, Answer, Change, Charge, Charges, ClientIdentity, Clock, ManualClock,
    Outcomes, RateLimitPolicy, RateLimitRepository, Timestamp,
};
use rate_limit_memory::MemoryRepository;

/// A clock of which loom knows that threads share it, so that something may happen between reading it
/// and what is done then.
#[derive(Clone, Debug)]
struct SharedClock(Arc<AtomicU64>);

impl SharedClock {
    fn go_to(&self, instant: Duration) {
        self.0.store(u64::try_from(instant.as_nanos()).unwrap(), Ordering::Release);
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Acquire))
    }

    fn utc_now(&self) -> Timestamp {
        self.now()
    }
}

type Store = MemoryRepository<ManualClock>;
type Work = Box<dyn FnOnce(&Store) -> u64 + Send>;

/// As many keys as the smallest store holds.
const CAP: usize = 4;

fn policy(name: &str, limit: u64) -> Arc<RateLimitPolicy> {
    Arc::new(RateLimitPolicy::per_minute(limit).named(name).build().unwrap())
}

fn store() -> Arc<Store> {
    let builder = MemoryRepository::builder().clock(ManualClock::new());
    Arc::new(builder.max_keys(CAP).build().unwrap())
}

/// Digests are the same in every run of the model, and the first four of these users fill the
/// smallest store, which `the_users_fill_the_store` holds them to. Some others have all their places
/// in one group, so that nothing could move.
fn user(number: usize) -> ClientIdentity {
    ClientIdentity::user(number.to_string()).unwrap()
}

fn take(store: &impl RateLimitRepository, charges: &Charges) -> Outcomes {
    let Answer::Ready(outcomes) = store.acquire(charges) else { unreachable!() };
    outcomes.unwrap()
}

fn passes(store: &impl RateLimitRepository, charges: &Charges) -> u64 {
    u64::from(take(store, charges).iter().all(|outcome| !outcome.is_violated()))
}

fn charge(identity: ClientIdentity, policy: &Arc<RateLimitPolicy>, units: u64) -> Charges {
    Charges::one(Charge::new(identity, policy.clone(), units))
}

/// Runs each work on a thread of its own; returns the sum of what they return.
fn at_once(store: &Arc<Store>, work: Vec<Work>) -> u64 {
    let threads: Vec<_> = work
        .into_iter()
        .map(|work| {
            let store = store.clone();
            loom::thread::spawn(move || work(&store))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}

fn explore(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    // Threads that have to wait for each other take more steps than loom expects of a test.
    model.max_branches = 10_000;
    model.check(test);
}

/// Units that the buckets of `clients` lack.
fn owed(store: &Store, policy: &Arc<RateLimitPolicy>, clients: usize) -> u64 {
    let remaining =
        |number| take(store, &charge(user(number), policy, 0)).get(0).unwrap().remaining;
    (0..clients).map(|number| policy.limit() - remaining(number)).sum()
}

/// Units that were lost with buckets that had to go.
fn forgiven(store: &Store, policy: &Arc<RateLimitPolicy>) -> u64 {
    let interval = policy.window() / u32::try_from(policy.limit()).unwrap();
    u64::try_from(store.stats().forgiven.as_nanos() / interval.as_nanos()).unwrap()
}

#[test]
fn the_users_fill_the_store() {
    explore(0, || {
        let (store, policy) = (store(), policy("p", 3));
        let charged = (0..CAP).map(|number| passes(&store, &charge(user(number), &policy, 1)));
        assert_eq!(charged.sum::<u64>(), CAP as u64);
        assert_eq!((store.stats().taken, store.stats().evicted_in_debt), (CAP, 0));
    });
}

#[test]
fn c01_two_threads_on_one_bucket_never_take_more_than_the_burst() {
    explore(3, || {
        let (store, policy) = (store(), policy("p", 3));
        assert_eq!(passes(&store, &charge(user(0), &policy, 1)), 1);
        let two = || -> Work {
            let one = charge(user(0), &policy, 1);
            Box::new(move |store| passes(store, &one) + passes(store, &one))
        };
        assert_eq!(at_once(&store, vec![two(), two()]), 2);
        assert_eq!(owed(&store, &policy, 1), 3);
    });
}

#[test]
fn c01_three_threads_on_one_bucket_never_take_more_than_the_burst() {
    explore(1, || {
        let (store, policy) = (store(), policy("p", 3));
        assert_eq!(passes(&store, &charge(user(0), &policy, 1)), 1);
        let once = || -> Work {
            let one = charge(user(0), &policy, 1);
            Box::new(move |store| passes(store, &one))
        };
        assert_eq!(at_once(&store, vec![once(), once(), once()]), 2);
    });
}

/// Somebody reads the clock, and before they have found their bucket, hours go by and somebody else
/// charges it. There is a unit for each of them at any moment.
#[test]
fn c01_nobody_is_denied_for_having_been_held_up() {
    explore(3, || {
        let clock = SharedClock(Arc::new(AtomicU64::new(0)));
        let store = MemoryRepository::builder().clock(clock.clone()).max_keys(CAP).build().unwrap();
        let (store, policy) = (Arc::new(store), policy("p", 2));
        let charges = charge(user(0), &policy, 1);
        assert_eq!(passes(&*store, &charges), 1);
        clock.go_to(Duration::from_secs(3_600));
        let held_up = {
            let (store, charges) = (store.clone(), charges.clone());
            loom::thread::spawn(move || passes(&*store, &charges))
        };
        clock.go_to(Duration::from_secs(7_200));
        assert_eq!(passes(&*store, &charges), 1);
        assert_eq!(held_up.join().unwrap(), 1);
    });
}

/// The first request of a client from two threads: one bucket comes into being, not two.
#[test]
fn c01_a_client_has_one_bucket_however_many_threads_bring_it() {
    explore(3, || {
        let (store, policy) = (store(), policy("p", 1));
        // The groups are not empty, so that both of a key have to be looked at.
        assert_eq!(passes(&store, &charge(user(1), &policy, 1)), 1);
        let once = || -> Work {
            let one = charge(user(0), &policy, 1);
            Box::new(move |store| passes(store, &one))
        };
        assert_eq!(at_once(&store, vec![once(), once()]), 1);
        assert_eq!(store.stats().taken, 2);
    });
}

/// Two threads charge the same two buckets in crossed orders. The one that only one of them can have
/// a unit of decides for both, whether the store knew these buckets or not.
fn crossed_orders(is_known: bool) {
    explore(3, move || {
        let store = store();
        let (own, common) = (policy("own", 2), policy("common", 5));
        let both = |crossed: bool, units: u64| {
            let mut both = [
                Charge::new(user(0), own.clone(), units),
                Charge::new(ClientIdentity::GLOBAL, common.clone(), 1),
            ];
            if crossed {
                both.reverse();
            }
            both.into_iter().collect::<Charges>()
        };
        if is_known {
            assert_eq!(passes(&store, &both(false, 1)), 1);
        }
        let units = if is_known { 1 } else { 2 };
        let work = [false, true].map(|crossed| -> Work {
            let charges = both(crossed, units);
            Box::new(move |store| passes(store, &charges))
        });
        assert_eq!(at_once(&store, work.into()), 1);
        let asking = charge(ClientIdentity::GLOBAL, &common, 0);
        let left = if is_known { 3 } else { 4 };
        assert_eq!(take(&store, &asking).get(0).unwrap().remaining, left, "charged with its own");
    });
}

#[test]
fn c01_crossed_orders_of_two_buckets_neither_deadlock_nor_split() {
    crossed_orders(false);
}

#[test]
fn c01_crossed_orders_of_two_known_buckets_neither_deadlock_nor_split() {
    crossed_orders(true);
}

/// A denial while a window begins, which changes both words of a state: nobody sees the start of one
/// window with the count of the other.
#[test]
fn c01_a_reader_sees_no_half_of_a_change() {
    explore(3, || {
        let clock = ManualClock::new();
        let builder = MemoryRepository::builder().clock(clock.clone());
        let store = Arc::new(builder.max_keys(CAP).build().unwrap());
        let ten = Arc::new(RateLimitPolicy::per_minute(10).fixed_window().build().unwrap());
        assert_eq!(passes(&store, &charge(user(0), &ten, 9)), 1);
        clock.advance(Duration::from_secs(60));
        let reading: Work = {
            let too_much = charge(user(0), &ten, 11);
            Box::new(move |store| {
                let outcome = *take(store, &too_much).get(0).unwrap();
                assert!(outcome.is_violated() && outcome.remaining >= 9, "{outcome:?}");
                0
            })
        };
        let charging: Work = {
            let one = charge(user(0), &ten, 1);
            Box::new(move |store| passes(store, &one))
        };
        assert_eq!(at_once(&store, vec![reading, charging]), 1);
    });
}

/// A denial over two buckets that are always charged together, and over those of strangers: nobody is
/// told of one before and of the other after a change.
fn a_denial_tells_of_all_its_buckets_at_one_moment(strangers: usize) {
    explore(3, move || {
        let (store, first, second) = (store(), policy("first", 5), policy("second", 5));
        let both = |units: u64| -> Charges {
            let one = |policy: &Arc<RateLimitPolicy>| Charge::new(user(0), policy.clone(), units);
            [one(&first), one(&second)].into_iter().collect()
        };
        assert_eq!(passes(&store, &both(1)), 1);
        let (one, mut too_many) = (both(1), both(6));
        too_many.extend((1..=strangers).map(|number| Charge::new(user(number), first.clone(), 6)));
        let charging: Work = Box::new(move |store| passes(store, &one));
        let reading: Work = Box::new(move |store| {
            let outcomes = take(store, &too_many);
            let told: Vec<u64> = outcomes.iter().map(|outcome| outcome.remaining).collect();
            assert!(told[..2] == [4, 4] || told[..2] == [3, 3], "{told:?}");
            u64::from(outcomes.iter().any(|outcome| !outcome.is_violated()))
        });
        assert_eq!(at_once(&store, vec![charging, reading]), 1);
    });
}

#[test]
fn c01_a_denial_tells_of_all_its_buckets_at_one_moment() {
    a_denial_tells_of_all_its_buckets_at_one_moment(0);
}

/// With a bucket that is not known, which is looked for in both groups and decided the general way.
#[test]
fn c01_a_denial_of_a_stranger_tells_of_all_its_buckets_at_one_moment() {
    a_denial_tells_of_all_its_buckets_at_one_moment(1);
}

/// Three known buckets in two groups, so two of them share one. They are charged together while
/// another thread charges each by itself: no charge is lost with a state that was read before it.
#[test]
fn c01_buckets_that_share_a_group_lose_no_charge() {
    explore(3, || {
        let (store, hourly) = (store(), policy("p", 1_000));
        let clients = [0, 1, 2];
        for number in clients {
            take(&store, &charge(user(number), &hourly, 1));
        }
        assert_eq!(store.stats().taken, 3, "all of them are there");
        let together = |order: [usize; 3]| -> Work {
            let one = |number| Charge::new(user(number), hourly.clone(), 10);
            let all: Charges = order.map(one).into_iter().collect();
            Box::new(move |store| passes(store, &all))
        };
        let each: Vec<Charges> = (0..3).map(|number| charge(user(number), &hourly, 100)).collect();
        let alone: Work = Box::new(move |store| each.iter().map(|one| passes(store, one)).sum());
        assert_eq!(at_once(&store, vec![together([2, 0, 1]), alone]), 4);
        assert_eq!(owed(&store, &hourly, CAP), 3 * (1 + 10 + 100));
    });
}

/// A client is charged while strangers take places in a full store: what is not owed was counted as
/// forgiven, to the unit.
#[test]
fn c01_a_charge_is_kept_or_counted_while_strangers_come() {
    explore(2, || {
        let (store, hourly) = (store(), policy("p", 1_000));
        for number in 0..CAP {
            take(&store, &charge(user(number), &hourly, 10 + number as u64));
        }
        assert_eq!(store.stats().taken, CAP, "it is full");
        let before = owed(&store, &hourly, CAP) + forgiven(&store, &hourly);
        let again: Work = {
            let more = charge(user(0), &hourly, 100);
            Box::new(move |store| passes(store, &more))
        };
        let stranger: Work = {
            let new = charge(user(CAP), &hourly, 7);
            Box::new(move |store| passes(store, &new))
        };
        assert_eq!(at_once(&store, vec![again, stranger]), 2);
        let after = owed(&store, &hourly, CAP + 1) + forgiven(&store, &hourly);
        assert_eq!(after, before + 107);
        assert!(store.stats().taken <= CAP);
    });
}

/// A charge is given back while strangers take places in a full store: it frees its own bucket or,
/// if that had to go, nothing.
#[test]
fn c01_a_refund_finds_its_own_bucket_while_strangers_come() {
    explore(2, || {
        let (store, hourly) = (store(), policy("p", 1_000));
        let charged = take(&store, &charge(user(0), &hourly, 5)).get(0).unwrap().charged.unwrap();
        for number in 1..CAP {
            take(&store, &charge(user(number), &hourly, 10 + number as u64));
        }
        let before = owed(&store, &hourly, CAP) + forgiven(&store, &hourly);
        let back: Work = {
            let adjustment = Adjustment {
                identity: user(0),
                policy: hourly.clone(),
                charged,
                units: 5,
                change: Change::Refund(5),
            };
            let adjustments: Adjustments = [adjustment].into_iter().collect();
            Box::new(move |store| {
                let Answer::Ready(settled) = store.settle(&adjustments) else { unreachable!() };
                settled.unwrap().total().returned
            })
        };
        let stranger: Work = {
            let new = charge(user(CAP), &hourly, 7);
            Box::new(move |store| passes(store, &new) * 1_000)
        };
        let returned = at_once(&store, vec![back, stranger]) - 1_000;
        let after = owed(&store, &hourly, CAP + 1) + forgiven(&store, &hourly);
        assert_eq!(after, before + 7 - returned);
    });
}

/// A limit is doubled while it is charged and strangers take places in a full store: both versions
/// of the policy charge one bucket, and what is not owed was counted as forgiven, to the nanosecond.
#[test]
fn c01_two_versions_of_a_policy_charge_one_bucket_while_strangers_come() {
    explore(2, || {
        let (store, before, after) = (store(), policy("p", 1_000), policy("p", 2_000));
        for number in 0..CAP {
            take(&store, &charge(user(number), &before, 10 + number as u64));
        }
        let accounted_nanos = |store: &Store| {
            let owed = |number| {
                let asked = charge(user(number), &before, 0);
                take(store, &asked).get(0).unwrap().reset_nanos
            };
            let owed: u64 = (0..=CAP).map(owed).sum();
            owed + u64::try_from(store.stats().forgiven.as_nanos()).unwrap()
        };
        let accounted = accounted_nanos(&store);
        let charging = |number, version, units| -> Work {
            let one = charge(user(number), version, units);
            Box::new(move |store| passes(store, &one))
        };
        let work =
            vec![charging(0, &before, 100), charging(0, &after, 50), charging(CAP, &after, 7)];
        assert_eq!(at_once(&store, work), 3);
        let [interval, half] = [60_000_000, 30_000_000];
        assert_eq!(accounted_nanos(&store), accounted + 100 * interval + (50 + 7) * half);
    });
}
