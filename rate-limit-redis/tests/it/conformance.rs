use std::sync::Arc;

use rate_limit_core::ManualClock;
use rate_limit_core::conformance::{self, Profile, random_steps};
use redis_testbed::RedisServer;

use crate::support::Stores;

#[test]
fn keeps_the_contract_on_one_server() {
    let server = RedisServer::start().unwrap();
    println!("{}", server.program().version());
    let stores = Stores::at(server.url());
    conformance::check(Profile::Atomic, |clock: ManualClock| stores.fresh(Some(Arc::new(clock))));
}

/// Case A01 against a real server.
#[test]
fn a01_random_steps_equal_the_model() {
    let server = RedisServer::start().unwrap();
    let stores = Stores::at(server.url());
    let fresh = |clock: ManualClock| stores.fresh(Some(Arc::new(clock)));
    let run = random_steps(&fresh, 20_261_121, 30_000).unwrap_or_else(|found| panic!("{found}"));
    assert!(run.allowed > 1_500 && run.denied > 1_500 && run.settled > 150, "{run:?}");
}
