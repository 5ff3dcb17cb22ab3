use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::conformance::block_on;
use rate_limit_core::{
    Charge, Charges, ManualClock, PenaltyLadder, RateLimitAdministration, RateLimitPolicy,
    RateLimitPolicyBuilder, RateLimitRepository, Reset,
};

use crate::support::{acquire, ask, policy, store, user};

pub(crate) const CAP: usize = 1_000;

/// An exhausted client, and then twice the cap of strangers.
pub(crate) fn m02(store: &impl RateLimitRepository) -> Result<(), String> {
    let policy = policy(RateLimitPolicy::per_minute(10));
    assert!(ask(store, user(0), &policy, 10));
    for stranger in 1..=2 * CAP {
        if !ask(store, user(stranger), &policy, 1) {
            return Err(format!("stranger {stranger} was denied"));
        }
        if ask(store, user(0), &policy, 1) {
            return Err(format!("{stranger} strangers washed off the debt"));
        }
    }
    Ok(())
}

#[test]
fn m02_a_flood_does_not_wash_off_an_exhausted_bucket() {
    let store = store(&ManualClock::new(), CAP);
    m02(&store).unwrap();
    let taken = store.stats().taken;
    assert!((CAP * 98 / 100..=CAP).contains(&taken), "{taken} of {CAP}");
}

/// Case M02 for each algorithm, while time passes: the stranger's debt is the newer one, and all
/// windows of a policy last as long.
#[test]
fn m02_a_flood_washes_off_no_exhausted_window() {
    let algorithms: [fn(RateLimitPolicyBuilder) -> RateLimitPolicyBuilder; 5] = [
        RateLimitPolicyBuilder::token_bucket,
        RateLimitPolicyBuilder::fixed_window,
        RateLimitPolicyBuilder::aligned_window,
        RateLimitPolicyBuilder::sliding_window,
        RateLimitPolicyBuilder::sliding_log,
    ];
    for algorithm in algorithms {
        let policy = policy(algorithm(RateLimitPolicy::per_hour(10)));
        // Each store has places of its own.
        for _ in 0..5 {
            let clock = ManualClock::new();
            let store = store(&clock, CAP);
            assert!(ask(&store, user(0), &policy, 10));
            for stranger in 1..=2 * CAP {
                clock.advance(Duration::from_millis(1));
                assert!(ask(&store, user(stranger), &policy, 1));
                assert!(!ask(&store, user(0), &policy, 1), "{policy}: after {stranger}");
            }
        }
    }
}

/// The same of the shorter one of two limits: what strangers owe of the longer one comes back later,
/// and is next to nothing of it.
#[test]
fn m02_a_flood_washes_off_neither_of_two_limits() {
    let minute = policy(RateLimitPolicy::per_minute(10).named("minute"));
    for day in [RateLimitPolicy::per_day(1_000), RateLimitPolicy::per_day(1_000).sliding_log()] {
        let day = policy(day.named("day"));
        let both = |who: usize, units| -> Charges {
            let charge =
                |policy: &Arc<RateLimitPolicy>| Charge::new(user(who), policy.clone(), units);
            [&minute, &day].into_iter().map(charge).collect()
        };
        for _ in 0..5 {
            let store = store(&ManualClock::new(), CAP);
            acquire(&store, &both(0, 10));
            for stranger in 1..=2 * CAP {
                acquire(&store, &both(stranger, 1));
                assert!(!ask(&store, user(0), &minute, 1), "{day}: after {stranger}");
            }
        }
    }
}

/// Nor a ban, by the strikes of others or by logs that last longer.
#[test]
fn m02_a_flood_lifts_no_ban() {
    let ladder =
        PenaltyLadder::after(3, Duration::from_secs(600)).first_ban(Duration::from_secs(60));
    let laddered = policy(RateLimitPolicy::per_minute(1).named("laddered").penalty(ladder));
    let logged = policy(RateLimitPolicy::per_day(1).named("logged").sliding_log());
    for _ in 0..5 {
        let clock = ManualClock::new();
        let store = store(&clock, CAP);
        (0..4).for_each(|_| _ = ask(&store, user(0), &laddered, 1));
        clock.advance(Duration::from_secs(1));
        for stranger in 1..=2 * CAP {
            clock.advance(Duration::from_millis(1));
            // One is admitted and one is a strike.
            (0..2).for_each(|_| _ = ask(&store, user(stranger), &laddered, 1));
            ask(&store, user(stranger), &logged, 1);
        }
        clock.advance(Duration::from_secs(55));
        assert!(!ask(&store, user(0), &laddered, 1), "a minute is not over");
        clock.advance(Duration::from_secs(5));
        assert!(ask(&store, user(0), &laddered, 1));
    }
}

/// Promise G11: what is as good as new goes before anything that is in debt, wherever it came from.
#[test]
fn g11_expired_buckets_go_before_any_that_is_in_debt() {
    let clock = ManualClock::new();
    let store = store(&clock, CAP);
    let policy = policy(RateLimitPolicy::per_minute(60));
    let debtors = CAP / 2;
    // The debtors come first, so that an eviction by age would take them.
    (0..debtors).for_each(|number| assert!(ask(&store, user(number), &policy, 60)));
    // Twenty times as many strangers as there is room for, all but the latest as good as new.
    for round in 0..200 {
        clock.advance(Duration::from_millis(1_100));
        (0..CAP / 10)
            .for_each(|number| assert!(ask(&store, user(CAP * (round + 1) + number), &policy, 1)));
        let stats = store.stats();
        assert_eq!(stats.evicted_in_debt, 0, "in round {round}");
        if round == 20 {
            // Twenty-three seconds gave as many units back, and no more.
            for number in 0..debtors {
                assert!(ask(&store, user(number), &policy, 23));
                assert!(!ask(&store, user(number), &policy, 1), "client {number} keeps its debt");
            }
        }
    }
}

/// The same of windows that follow the time of day, which has nothing to do with the axis of others.
#[test]
fn g11_expired_windows_of_the_day_go_before_any_that_is_in_debt() {
    let clock = ManualClock::new();
    let store = store(&clock, CAP);
    let aligned = policy(RateLimitPolicy::per_minute(10).aligned_window());
    (0..CAP / 2).for_each(|number| assert!(ask(&store, user(number), &aligned, 10)));
    clock.advance(Duration::from_secs(61));
    let debtors = policy(RateLimitPolicy::per_hour(10));
    (CAP..CAP * 3 / 2).for_each(|number| assert!(ask(&store, user(number), &debtors, 10)));
    for round in 2..12 {
        clock.advance(Duration::from_secs(61));
        (0..CAP / 10)
            .for_each(|number| assert!(ask(&store, user(CAP * round + number), &aligned, 1)));
    }
    assert_eq!(store.stats().evicted_in_debt, 0);
    (CAP..CAP * 3 / 2).for_each(|number| assert!(!ask(&store, user(number), &debtors, 10)));
}

/// Promise G11: what is lost is counted exactly, and it is little: a flood of three times the cap
/// takes next to nothing from the tenth with the greatest debts. In one of a hundred processes, each
/// with a secret of its own, it takes one of these three hundred buckets.
#[test]
fn g11_little_debt_goes_and_is_counted() {
    let store = store(&ManualClock::new(), CAP);
    let policy = policy(RateLimitPolicy::per_hour(100_000));
    // Different debts, in an order unrelated to their size.
    let clients = 3 * CAP;
    let units = |number: usize| (number * 7 % clients + 1) as u64;
    (0..clients).for_each(|number| assert!(ask(&store, user(number), &policy, units(number))));
    let mut lost = Vec::new();
    for number in 0..clients {
        let asking = Charges::one(Charge::new(user(number), policy.clone(), 0));
        let remaining = acquire(&store, &asking).get(0).unwrap().remaining;
        match 100_000 - remaining {
            0 => lost.push(units(number)),
            debt => assert_eq!(debt, units(number), "client {number}"),
        }
    }
    let stats = store.stats();
    assert_eq!(stats.evicted_in_debt, lost.len() as u64);
    assert_eq!(stats.forgiven, Duration::from_millis(36 * lost.iter().sum::<u64>()));
    assert_eq!(stats.taken, clients - lost.len());
    let great: Vec<_> = lost.iter().filter(|units| **units > (clients * 9 / 10) as u64).collect();
    assert!(great.len() <= 3, "{great:?}");
}

/// A bucket that was charged again is worth its present debt, not its first one.
#[test]
fn charging_again_protects_a_bucket() {
    let store = store(&ManualClock::new(), CAP);
    let policy = policy(RateLimitPolicy::per_hour(1_000));
    (0..CAP / 2).for_each(|number| assert!(ask(&store, user(number), &policy, 2)));
    assert!(ask(&store, user(0), &policy, 998));
    (CAP..3 * CAP).for_each(|number| assert!(ask(&store, user(number), &policy, 3)));
    assert!(!ask(&store, user(0), &policy, 1));
}

/// A bucket whose units were given back is as good as new, and its place is free at once.
#[test]
fn a_refunded_bucket_goes_first() {
    use rate_limit_core::{Adjustment, Change};
    let thousand = || RateLimitPolicy::per_hour(1_000);
    for builder in [
        thousand().token_bucket(),
        thousand().fixed_window(),
        thousand().aligned_window(),
        thousand().sliding_window(),
        thousand().sliding_log(),
    ] {
        let store = store(&ManualClock::new(), CAP);
        let policy = policy(builder);
        let charges = Charges::one(Charge::new(user(0), policy.clone(), 900));
        let charged = acquire(&store, &charges).get(0).and_then(|outcome| outcome.charged).unwrap();
        (1..CAP / 2).for_each(|number| assert!(ask(&store, user(number), &policy, 1)));
        let in_debt = || store.stats().taken + store.stats().aside;
        assert_eq!(in_debt(), CAP / 2, "{policy}");
        let back = Adjustment {
            identity: user(0),
            policy: policy.clone(),
            charged,
            units: 900,
            change: Change::Refund(900),
        };
        block_on(store.settle(&[back].into_iter().collect())).unwrap();
        assert_eq!(in_debt(), CAP / 2 - 1, "{policy}");
        assert_eq!(block_on(store.reset(&user(0), &policy)).unwrap(), Reset::Nothing, "{policy}");
        assert!(ask(&store, user(CAP), &policy, 1));
        assert_eq!(store.stats().evicted_in_debt, 0, "{policy}");
    }
}

/// Case M07: what a flood left behind is cleared by traffic on other keys.
#[test]
fn m07_the_rest_of_a_flood_is_cleared_by_other_traffic() {
    let clock = ManualClock::new();
    let store = store(&clock, 100_000);
    let policy = policy(RateLimitPolicy::per_minute(60));
    (0..100_000).for_each(|number| assert!(ask(&store, user(number), &policy, 1)));
    assert!(store.stats().taken > 95_000, "{:?}", store.stats());
    clock.advance(Duration::from_secs(10));
    // Two hundred regular clients, none of them part of the flood.
    for _round in 0..1_000 {
        clock.advance(Duration::from_millis(10));
        for number in 0..200 {
            ask(&store, user(1_000_000 + number), &policy, 1);
        }
    }
    assert!(store.stats().taken <= 200, "{:?}", store.stats());
}

/// Every entry of a log counts.
#[test]
fn the_entries_of_logs_count_towards_the_cap() {
    let clock = ManualClock::new();
    let store = store(&clock, CAP);
    let policy = policy(RateLimitPolicy::per_hour(100).sliding_log());
    for number in 0..50 {
        for _ in 0..100 {
            clock.advance(Duration::from_nanos(1));
            assert!(ask(&store, user(number), &policy, 1));
            assert!(store.stats().aside <= CAP);
        }
    }
    assert_eq!(store.stats().aside, CAP, "ten full logs");
    assert_eq!(store.stats().evicted_in_debt, 40, "logs go as a whole");
    assert!(!ask(&store, user(49), &policy, 1), "the newest log is complete");
    clock.advance(Duration::from_secs(3_600));
    assert!(ask(&store, user(49), &policy, 1));
    assert_eq!(store.stats().aside, 1, "expired logs give their room back");
}

/// Asking, and being denied, need no room.
#[test]
fn what_writes_nothing_takes_no_room() {
    let store = store(&ManualClock::new(), CAP);
    let policy = policy(RateLimitPolicy::per_hour(10));
    for number in 0..10 * CAP {
        assert!(ask(&store, user(number), &policy, 0));
        assert!(!ask(&store, user(number), &policy, 11));
    }
    assert_eq!((store.stats().taken, store.stats().aside), (0, 0));
}

/// A log with more entries than the whole store may have keeps its count and loses its exactness:
/// never more than the limit, for a while fewer.
#[test]
fn a_log_larger_than_the_store_admits_no_more() {
    let clock = ManualClock::new();
    let store = store(&clock, 64);
    let policy = policy(RateLimitPolicy::per_hour(200).sliding_log());
    let mut admitted = 0;
    for _ in 0..300 {
        clock.advance(Duration::from_secs(1));
        admitted += u64::from(ask(&store, user(0), &policy, 1));
        assert!(store.stats().aside <= 64);
    }
    assert_eq!((admitted, store.stats().evicted_in_debt), (200, 0));
    clock.advance(Duration::from_secs(3_600));
    assert!(ask(&store, user(0), &policy, 200));
}

#[test]
fn administration_lists_every_debtor_once_and_resets_one() {
    let store = store(&ManualClock::new(), CAP);
    let policy = policy(RateLimitPolicy::per_hour(10));
    (0..250).for_each(|number| assert!(ask(&store, user(number), &policy, 10)));
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = block_on(store.list(after, 100.try_into().unwrap())).unwrap();
        seen.extend(page.buckets.iter().map(|bucket| bucket.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 250);
    assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(block_on(store.reset(&user(7), &policy)).unwrap(), Reset::Restored);
    assert_eq!(block_on(store.reset(&user(7), &policy)).unwrap(), Reset::Nothing);
    assert!(ask(&store, user(7), &policy, 10));
    assert_eq!(store.stats().taken, 250);
}
