//! The store of `custom_repository` keeps the contract of the port.

use std::sync::Arc;

use rate_limit_core::conformance::{self, Profile};
use rate_limit_core::{
    Answer, Charge, ClientIdentity, ManualClock, RateLimitPolicy, RateLimitRepository,
};

#[path = "../../custom_repository/store.rs"]
mod store;

use store::MapRepository;

#[test]
fn the_store_keeps_the_contract() {
    conformance::check(Profile::Atomic, |clock: ManualClock| MapRepository::new(clock));
}

#[test]
fn asking_for_nothing_makes_no_bucket() {
    let store = MapRepository::new(ManualClock::new());
    let policy = Arc::new(RateLimitPolicy::per_minute(1).build().unwrap());
    let charges = |units| Charge::new(ClientIdentity::GLOBAL, policy.clone(), units);
    let ask = |units| match store.acquire(&[charges(units)].into_iter().collect()) {
        Answer::Ready(outcomes) => outcomes.unwrap(),
        Answer::Pending(_) => panic!("the store answers at once"),
    };
    ask(0);
    assert_eq!(store.len(), 0);
    ask(1);
    assert_eq!(store.len(), 1);
}
