//! A caller that is held up between reading the clock and reading the bucket (promise G2).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rate_limit_core::{
    Adjustment, Answer, Change, Charge, Charges, Clock, ManualClock, RateLimitPolicy,
    RateLimitPolicyBuilder, RateLimitRepository, Timestamp,
};
use rate_limit_memory::MemoryRepository;

use crate::support::{ask, outcome, passes, policy, user};

type Meanwhile = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A clock that lets something happen between an instant and the caller's learning of it, once:
/// whichever of both axes it reads first.
struct HoldingUp {
    clock: ManualClock,
    meanwhile: Meanwhile,
}

impl HoldingUp {
    fn hold_up(&self) {
        let meanwhile = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(happens) = meanwhile {
            happens();
        }
    }
}

impl fmt::Debug for HoldingUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HoldingUp")
    }
}

impl Clock for HoldingUp {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        self.hold_up();
        now
    }

    fn utc_now(&self) -> Timestamp {
        let now = self.clock.utc_now();
        self.hold_up();
        now
    }
}

type Store = MemoryRepository<HoldingUp>;

fn asks(store: &Store, charges: &Charges) {
    assert!(passes(store, charges));
}

/// Asks under one of the policies alone.
fn asks_one(store: &Store, charges: &Charges, index: usize) {
    asks(store, &Charges::one(charges.get(index).unwrap().clone()));
}

fn asks_the_first(store: &Store, charges: &Charges) {
    asks_one(store, charges, 0);
}

fn asks_the_second(store: &Store, charges: &Charges) {
    asks_one(store, charges, 1);
}

/// Takes a unit of each policy afterwards.
fn settles(store: &Store, charges: &Charges) {
    let more = |charge: &Charge| Adjustment {
        identity: charge.identity().clone(),
        policy: charge.policy().clone(),
        charged: Timestamp::ORIGIN,
        units: 1,
        change: Change::Add(1),
    };
    let Answer::Ready(settled) = store.settle(&charges.iter().map(more).collect()) else {
        panic!("this store answers at once")
    };
    settled.unwrap();
}

/// A client with two units an hour at rest, who has asked before or not, asks and is held up for an
/// hour, in which somebody else takes the other unit. At no moment was there none for it.
fn asks_while_another_takes_a_unit(
    algorithm: fn(&str) -> RateLimitPolicyBuilder,
    names: &[&str],
    asked_before: usize,
    takes: fn(&Store, &Charges),
) {
    let (clock, meanwhile) = (ManualClock::new(), Meanwhile::default());
    let holding_up = HoldingUp { clock: clock.clone(), meanwhile: meanwhile.clone() };
    let store = Arc::new(MemoryRepository::builder().clock(holding_up).build().unwrap());
    let policies: Vec<_> =
        names.iter().map(|name| Arc::new(algorithm(name).build().unwrap())).collect();
    let charge = |policy: &Arc<RateLimitPolicy>| Charge::new(user(0), policy.clone(), 1);
    let charges: Charges = policies.iter().map(charge).collect();
    (0..asked_before).for_each(|_| asks(&store, &charges));
    clock.advance(Duration::from_secs(7_200));

    let (same_store, same_charges, same_clock) = (store.clone(), charges.clone(), clock.clone());
    let happens = move || {
        same_clock.advance(Duration::from_secs(3_600));
        takes(&same_store, &same_charges);
    };
    *meanwhile.lock().unwrap() = Some(Box::new(happens));
    assert!(passes(&*store, &charges), "there were two units all the time");
    assert!(meanwhile.lock().unwrap().is_none(), "somebody else came in between");
    assert!(!passes(&*store, &charges), "both units are taken");
}

#[test]
fn nobody_is_denied_for_having_been_held_up() {
    let algorithms: [fn(&str) -> RateLimitPolicyBuilder; 3] = [
        |name| RateLimitPolicy::per_hour(2).named(name),
        |name| RateLimitPolicy::per_hour(2).named(name).fixed_window(),
        |name| RateLimitPolicy::per_hour(2).named(name).sliding_window(),
    ];
    for algorithm in algorithms {
        for names in [&["a"][..], &["a", "b"], &["a", "b", "c", "d", "e"]] {
            for asked_before in [0, 1] {
                asks_while_another_takes_a_unit(algorithm, names, asked_before, asks);
            }
        }
    }
    for asked_before in [0, 1] {
        for names in [&["a"][..], &["a", "b"]] {
            asks_while_another_takes_a_unit(algorithms[0], names, asked_before, settles);
        }
        for takes in [asks_the_first, asks_the_second] {
            asks_while_another_takes_a_unit(algorithms[0], &["a", "b"], asked_before, takes);
        }
    }
}

/// A client with one unit for each calendar day is held up from one day into the next, in which
/// somebody else takes the unit. Its wait ends with the day that it is.
#[test]
fn nobody_waits_longer_for_having_been_held_up() {
    const DAY: Duration = Duration::from_secs(86_400);

    let (clock, meanwhile) = (ManualClock::new(), Meanwhile::default());
    let holding_up = HoldingUp { clock: clock.clone(), meanwhile: meanwhile.clone() };
    let store = Arc::new(MemoryRepository::builder().clock(holding_up).build().unwrap());
    let policy = policy(RateLimitPolicy::per_day(1).aligned_window());
    assert!(ask(&*store, user(0), &policy, 1), "the store knows its bucket now");
    clock.advance(DAY / 2);

    let (same_store, same_policy, same_clock) = (store.clone(), policy.clone(), clock.clone());
    let happens = move || {
        same_clock.advance(DAY);
        assert!(ask(&*same_store, user(0), &same_policy, 1));
    };
    *meanwhile.lock().unwrap() = Some(Box::new(happens));
    let held_up = outcome(&*store, user(0), &policy, 1);
    let later = outcome(&*store, user(0), &policy, 1);
    assert!(held_up.is_violated(), "somebody else has taken the unit");
    assert_eq!(held_up, later, "it is the same moment");
}
