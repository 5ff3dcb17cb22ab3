//! One limit, whoever asks.

use redis_testbed::RedisServer;

use crate::parent::Worker;
use crate::worker::{BURST, INTERVAL_NANOS};

/// A hundred per minute over three processes, and no more when one of them is killed.
pub(crate) fn three_instances() {
    let server = RedisServer::start().unwrap();
    let [mut one, mut two, mut three] = [(); 3].map(|()| Worker::start(&server.url()));
    assert_eq!([one.ask("alice", 40), two.ask("alice", 35), three.ask("alice", 25)], [40, 35, 25]);
    assert_eq!([one.ask("alice", 1), two.ask("alice", 1), three.ask("alice", 1)], [0, 0, 0]);

    assert_eq!(one.ask("bob", 30), 30);
    drop(one);
    assert_eq!([two.ask("bob", 40), three.ask("bob", 40)], [40, 30]);
    assert_eq!([two.ask("bob", 1), three.ask("bob", 1)], [0, 0]);
}

/// Case C04 and promises G1 and G2: four processes with 64 tasks each, on the server's own clock.
pub(crate) fn c04_saturated() {
    let instants = from_four_processes("saturate");
    assert_eq!(excess(&instants), 0, "more than burst + rate · t in some interval");
    // The bucket was asked until it was empty and never rested, so everything that it had was taken.
    let expected = BURST + (instants[instants.len() - 1] - instants[0]) / INTERVAL_NANOS;
    assert_eq!(instants.len() as u64, expected);
    println!("{} admitted by four processes, exactly burst + rate · t", instants.len());
}

/// The same question finds a store that decides between reading and writing.
pub(crate) fn c04_broken() {
    let excess = excess(&from_four_processes("break"));
    assert!(excess > 0, "a store that cannot be right was not caught");
    println!("{excess} too many by a store that reads, then writes");
}

/// The server's instants of all admissions, in order.
fn from_four_processes(order: &str) -> Vec<u64> {
    let server = RedisServer::start().unwrap();
    let mut workers = [(); 4].map(|()| Worker::start(&server.url()));
    workers.iter_mut().for_each(|worker| worker.order(&format!("{order} 64 2500")));
    let mut instants: Vec<u64> = workers.iter_mut().flat_map(Worker::instants).collect();
    instants.sort_unstable();
    instants
}

/// By how many units the worst of all intervals between two admissions exceeds burst + rate · t.
///
/// Admissions i to j are j - i + 1 units within t(j) - t(i), so what counts is the largest growth of
/// i · interval - t(i), and one pass finds it.
fn excess(instants: &[u64]) -> u64 {
    let credit = |index: usize, instant: u64| {
        i128::from(INTERVAL_NANOS) * index as i128 - i128::from(instant)
    };
    let (mut least, mut worst) = (i128::MAX, 0);
    for (index, instant) in instants.iter().enumerate() {
        let now = credit(index, *instant);
        least = least.min(now);
        worst = worst.max(now - least);
    }
    let allowed = i128::from(BURST - 1) * i128::from(INTERVAL_NANOS);
    u64::try_from((worst - allowed).max(0)).unwrap().div_ceil(INTERVAL_NANOS)
}
