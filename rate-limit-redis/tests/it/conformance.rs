use rate_limit_core::ManualClock;
use rate_limit_core::conformance::{self, Profile, WithDocuments, random_steps};
use rate_limit_redis::Placement;
use redis_testbed::{ClusterBed, Program, RedisServer};

use crate::support::Stores;

/// On each of Redis and Valkey that this machine has.
#[test]
fn keeps_the_contract_on_one_server() {
    for program in Program::installed().unwrap() {
        println!("one server: {program}");
        let server = RedisServer::builder().program(&program).start().unwrap();
        let stores = Stores::at(server.url());
        let fresh = |clock: ManualClock| stores.fresh(&clock);
        conformance::check(Profile::Atomic, WithDocuments(fresh));
    }
}

/// Requests over several identities are taken slot by slot, and all scenarios of one identity are
/// still one atomic step. In one slot, all of them are.
#[test]
fn keeps_the_contract_on_a_cluster() {
    for program in Program::installed().unwrap() {
        println!("cluster: {program}");
        let bed = ClusterBed::builder().program(&program).replicas_per_master(0).start().unwrap();
        let stores = Stores::at(bed.url());
        let fresh = |clock: ManualClock| stores.fresh(&clock);
        conformance::check(Profile::Compensated, WithDocuments(fresh));

        println!("one slot of a cluster: {program}");
        let placed = |clock: ManualClock| stores.placed(&clock, Placement::OneSlot);
        conformance::check(Profile::Atomic, WithDocuments(placed));
    }
}

/// Case A01 against a real server.
#[test]
fn a01_random_steps_equal_the_model() {
    let server = RedisServer::start().unwrap();
    let stores = Stores::at(server.url());
    let fresh = |clock: ManualClock| stores.fresh(&clock);
    let run = random_steps(&fresh, 20_261_121, 60_000).unwrap_or_else(|found| panic!("{found}"));
    println!("{run:?}");
    assert!(run.allowed > 3_000 && run.denied > 3_000 && run.settled > 300, "{run:?}");
}
