use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use rate_limit_core::{
    Charge, Charges, ClientIdentity, ManualClock, RateLimitPolicy, RateLimitRepository,
};

use crate::support::{acquire, ask, passes, policy, store, user};

/// How many threads case C02 has.
pub(crate) const THREADS: usize = 64;

/// Sixty-four threads at one bucket of a thousand at a moment that does not pass. Returns how many
/// requests were admitted.
pub(crate) fn c02(store: &(impl RateLimitRepository + ?Sized), checks: u64) -> u64 {
    let policy = policy(RateLimitPolicy::per_minute(7).burst(1_000));
    let start = Barrier::new(THREADS);
    let admitted = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                let mine = (0..checks).filter(|_| ask(store, user(0), &policy, 1)).count();
                admitted.fetch_add(mine as u64, Ordering::SeqCst);
            });
        }
    });
    admitted.into_inner()
}

#[test]
fn c02_sixty_four_threads_take_a_burst_of_a_thousand_exactly() {
    assert_eq!(c02(&store(&ManualClock::new(), 1_000), 1_000_000), 1_000);
}

/// Promise G5 under threads: clients with a limit of their own beside a limit for all, in orders
/// that cross. Whoever is stopped by their own limit takes nothing from the common one.
#[test]
fn g5_a_client_stopped_by_its_own_limit_takes_nothing_from_the_common_one() {
    const CLIENTS: usize = 16;
    let store = store(&ManualClock::new(), 1_000);
    let own = policy(RateLimitPolicy::per_minute(10).fixed_window().named("own"));
    let common = policy(RateLimitPolicy::per_minute(100).fixed_window().named("common"));
    let admitted = AtomicU64::new(0);
    let start = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (store, own, common, admitted, start) = (&store, &own, &common, &admitted, &start);
            scope.spawn(move || {
                let mut both = [
                    Charge::new(user(client), own.clone(), 1),
                    Charge::new(ClientIdentity::GLOBAL, common.clone(), 1),
                ];
                if client % 2 == 1 {
                    both.reverse();
                }
                let charges: Charges = both.into_iter().collect();
                start.wait();
                for _ in 0..10_000 {
                    let outcomes = acquire(store, &charges);
                    let passes = outcomes.iter().all(|outcome| !outcome.is_violated());
                    admitted.fetch_add(u64::from(passes), Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 100);
    let asking = Charges::one(Charge::new(ClientIdentity::GLOBAL, common, 0));
    assert_eq!(acquire(&store, &asking).get(0).map(|outcome| outcome.remaining), Some(0));
}

/// In a store of twelve groups, one request in twelve finds its first and its third bucket in one group
/// and the second elsewhere. Whoever wants a group twice and tries again and again never comes to an
/// end, which is how this test would fail.
#[test]
fn buckets_of_one_request_that_share_a_group_are_all_charged() {
    let policies = ["a", "b", "c"].map(|name| policy(RateLimitPolicy::per_hour(3).named(name)));
    for number in 0..500 {
        let store = store(&ManualClock::new(), 64);
        let charge = |policy: &_| Charge::new(user(number), Arc::clone(policy), 1);
        let charges: Charges = policies.iter().map(charge).collect();
        for left in [2, 1, 0] {
            let outcomes = acquire(&store, &charges);
            assert!(outcomes.iter().all(|outcome| outcome.remaining == left), "{outcomes:?}");
        }
        assert!(!passes(&store, &charges));
    }
}

/// New keys at a full store from many threads at once: never more than the cap, not even for a
/// moment, and no thread waits for another for ever.
#[test]
fn the_cap_holds_at_every_moment_of_a_flood_from_eight_threads() {
    const CAP: usize = 1_000;
    let store = store(&ManualClock::new(), CAP);
    let slow = policy(RateLimitPolicy::per_day(5).named("slow"));
    let log = policy(RateLimitPolicy::per_day(5).sliding_log().named("log"));
    thread::scope(|scope| {
        for thread in 0..8_usize {
            let (store, slow, log) = (&store, &slow, &log);
            scope.spawn(move || {
                for number in 0..20_000_usize {
                    let identity = user(number * 8 + thread);
                    let charges: Charges = [slow, log]
                        .map(|policy| Charge::new(identity.clone(), policy.clone(), 1))
                        .into_iter()
                        .collect();
                    acquire(store, &charges);
                    if number % 16 == 0 {
                        let stats = store.stats();
                        assert!(stats.taken <= CAP && stats.aside <= CAP, "{stats:?}");
                    }
                }
            });
        }
    });
    assert!(store.stats().evicted_in_debt >= 300_000, "{:?}", store.stats());
}
