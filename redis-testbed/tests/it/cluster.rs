//! Clusters.

use std::time::{Duration, Instant};

use redis::Value;
use redis_testbed::ClusterBed;
use redis_testbed::cluster::SLOTS;

const DEADLINE: Duration = Duration::from_secs(60);

#[test]
#[allow(clippy::disallowed_methods, reason = "this prints how long a start takes")]
fn a_replica_takes_over_from_a_killed_master() {
    let started = Instant::now();
    let cluster = ClusterBed::builder().node_timeout(Duration::from_millis(500)).start().unwrap();
    println!("6 nodes ready after {:?}", started.elapsed());
    let old = cluster.owner(0).unwrap();
    assert_eq!(old.address(), cluster.nodes()[0].address());
    let replica = cluster.replicas_of(0).next().unwrap().address();
    old.kill().unwrap();
    let started = Instant::now();
    cluster.await_other_owner(0, old.address(), DEADLINE).unwrap();
    println!("taken over after {:?}", started.elapsed());
    assert_eq!(cluster.owner(0).unwrap().address(), replica);
}

#[test]
fn slots_with_keys_move_to_a_node_that_joined() {
    let mut cluster = ClusterBed::builder().replicas_per_master(0).start().unwrap();
    // `{a}` is in the slot 15495.
    let slot = 15_495;
    assert_eq!(cluster.owner(slot).unwrap().address(), cluster.nodes()[2].address());
    cluster.owner(slot).unwrap().command(&["SET", "{a}:key", "value"]).unwrap();
    let joined = cluster.add_node().unwrap();
    cluster.move_slots(slot - 1..slot + 1, joined).unwrap();
    let owner = cluster.owner(slot).unwrap();
    assert_eq!(owner.address(), cluster.nodes()[joined].address());
    let value = owner.command(&["GET", "{a}:key"]).unwrap();
    assert_eq!(value, Value::BulkString(b"value".into()));
}

#[test]
fn a_single_node_can_be_a_cluster() {
    let cluster = ClusterBed::builder().masters(1).replicas_per_master(0).start().unwrap();
    for slot in [0, SLOTS - 1] {
        assert_eq!(cluster.owner(slot).unwrap().address(), cluster.nodes()[0].address());
    }
}
