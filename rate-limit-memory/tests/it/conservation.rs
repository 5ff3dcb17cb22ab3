use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use rate_limit_core::conformance::block_on;
use rate_limit_core::{
    Adjustment, Change, Charge, Charges, ManualClock, Mode, RateLimitPolicy, RateLimitRepository,
};

use crate::support::{acquire, outcome, policy, store, user};

/// How many clients there are for the 64 places of the store.
const CLIENTS: usize = 100;

/// A store full of debts at a moment that does not pass, and threads that charge one bucket or two
/// at once, give back and ask, under two versions of a policy that is being tried out and enforced.
/// What was taken and not given back is owed or was counted as forgiven, to the nanosecond, whatever
/// met what.
#[test]
fn g1_nothing_is_lost_or_gained_while_buckets_come_and_go_and_policies_change() {
    const THREADS: usize = 8;
    let store = store(&ManualClock::new(), 64);
    let enforced = policy(RateLimitPolicy::per_second(1).burst(100));
    let versions = [enforced.clone(), Arc::new(enforced.in_mode(Mode::Shadow))];
    let taken_units = AtomicU64::new(0);
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, versions, taken_units, start) = (&store, &versions, &taken_units, &start);
            scope.spawn(move || {
                start.wait();
                let mut random = 0x9e37_79b9_7f4a_7c15 ^ (thread as u64) << 32;
                for _ in 0..30_000 {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let bits = random as usize;
                    let version = &versions[bits >> 8 & 1];
                    let charge = |shift: usize| {
                        let units = (bits >> shift & 7) as u64;
                        Charge::new(user((bits >> (shift + 3)) % CLIENTS), version.clone(), units)
                    };
                    let charges: Charges = match bits >> 9 & 1 {
                        0 => Charges::one(charge(16)),
                        _ => [charge(16), charge(36)].into_iter().collect(),
                    };
                    let outcomes = acquire(store, &charges);
                    let all = outcomes.iter().all(|outcome| !outcome.is_violated());
                    let mut units = 0;
                    for (charge, outcome) in charges.iter().zip(outcomes.iter()) {
                        let Some(charged) = outcome.charged else { continue };
                        assert!(
                            all || !version.is_enforced(),
                            "a request was charged in part: {outcomes:?}"
                        );
                        units += charge.units();
                        if bits >> 10 & 1 == 1 {
                            let back = Adjustment {
                                identity: charge.identity().clone(),
                                policy: version.clone(),
                                charged,
                                units: charge.units(),
                                change: Change::Refund(charge.units()),
                            };
                            let settled = block_on(store.settle(&[back].into_iter().collect()));
                            units -= settled.unwrap().total().returned;
                        }
                    }
                    taken_units.fetch_add(units, Ordering::SeqCst);
                }
            });
        }
    });
    let owed = |number| outcome(&store, user(number), &versions[0], 0).reset_nanos;
    let owed_nanos: u64 = (0..CLIENTS).map(owed).sum();
    let stats = store.stats();
    assert!(stats.evicted_in_debt > 1_000 && stats.taken <= 64, "{stats:?}");
    let accounted = Duration::from_nanos(owed_nanos) + stats.forgiven;
    assert_eq!(accounted, Duration::from_secs(taken_units.into_inner()));
}
