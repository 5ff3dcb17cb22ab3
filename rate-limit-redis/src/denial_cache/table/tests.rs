//! Size, displacement and forgetting.

use std::sync::Arc;

use rate_limit_core::{
    ClientIdentity, Clock, ManualClock, Outcome, PolicyVerdict, RateLimitPolicy, Wait,
};

use super::*;

const SECOND: u64 = 1_000_000_000;

fn charge() -> Charge {
    let policy = RateLimitPolicy::per_minute(1).build().unwrap();
    Charge::new(ClientIdentity::GLOBAL, Arc::new(policy), 1)
}

fn denial(charge: &Charge, wait_nanos: u64, now: Timestamp) -> Entry {
    let wait = Wait::After(wait_nanos);
    let (verdict, reset_nanos) = (PolicyVerdict::Deny, wait_nanos);
    let outcome = Outcome { verdict, remaining: 0, reset_nanos, wait, charged: None };
    Entry::new(charge, &outcome, now, now).unwrap()
}

fn len(table: &Table) -> usize {
    table.sets.iter().map(|set| lock(set).0.len()).sum()
}

#[test]
fn a_flood_of_keys_does_not_make_it_grow() {
    let (table, charge, now) = (Table::new(), charge(), ManualClock::new().now());
    for bucket in 0..100_000_u128 {
        // Spread as hashes are.
        let bucket = bucket.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        table.put(bucket, denial(&charge, SECOND, now), table.epoch(), || true);
        assert!(len(&table) <= SETS * WAYS || bucket % 1_000 != 0);
    }
    assert!(len(&table) <= SETS * WAYS);
    assert!(table.sets.iter().all(|set| lock(set).0.capacity() <= WAYS));
}

#[test]
fn whoever_ends_first_makes_room() {
    let (table, charge, now) = (Table::new(), charge(), ManualClock::new().now());
    let bucket = |number: u64| u128::from(number) * SETS as u128;
    for number in 1..=WAYS as u64 + 1 {
        // The second one is the shortest.
        let wait = if number == 2 { SECOND / 10 } else { SECOND };
        table.put(bucket(number), denial(&charge, wait, now), table.epoch(), || true);
    }
    let known = |number| table.find(bucket(number), &charge, now);
    assert_eq!(known(2), Known::Nothing);
    assert!((1..=WAYS as u64 + 1).filter(|n| *n != 2).all(|n| known(n) != Known::Nothing));
}

#[test]
fn what_was_forgotten_is_not_brought_back_by_an_older_denial() {
    let (table, charge, now) = (Table::new(), charge(), ManualClock::new().now());
    let before = table.epoch();
    table.put(1, denial(&charge, SECOND, now), before, || true);
    table.forget(1);
    assert_eq!(table.find(1, &charge, now), Known::Nothing);
    table.put(1, denial(&charge, SECOND, now), before, || true);
    assert_eq!(table.find(1, &charge, now), Known::Nothing);
    table.put(1, denial(&charge, SECOND, now), table.epoch(), || false);
    assert_eq!(table.find(1, &charge, now), Known::Nothing);
    table.put(1, denial(&charge, SECOND, now), table.epoch(), || true);
    assert_ne!(table.find(1, &charge, now), Known::Nothing);
}
