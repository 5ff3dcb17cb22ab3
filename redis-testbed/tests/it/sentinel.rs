//! Master, replicas, Sentinels.

use std::time::{Duration, Instant};

use redis::Value;
use redis_testbed::{SentinelBed, until};

const DEADLINE: Duration = Duration::from_secs(60);

#[test]
#[allow(clippy::disallowed_methods, reason = "this prints how long a failover takes")]
fn a_killed_master_is_replaced_and_data_survives() {
    let started = Instant::now();
    let bed = SentinelBed::start(Duration::from_millis(500)).unwrap();
    println!("Sentinels ready after {:?}", started.elapsed());
    let master = bed.master().unwrap();
    let old = master.address();
    master.command(&["SET", "key", "value"]).unwrap();
    assert_eq!(master.command(&["WAIT", "2", "10000"]).unwrap(), Value::Int(2));
    master.kill().unwrap();
    let started = Instant::now();
    let new = bed.await_other_master(old, DEADLINE).unwrap();
    println!("failover after {:?}", started.elapsed());
    assert_ne!(new, old);
    let master = bed.master().unwrap();
    assert_eq!(master.address(), new);
    assert_eq!(master.command(&["GET", "key"]).unwrap(), Value::BulkString(b"value".into()));
    // The old one comes back as a replica.
    let old = bed.servers().iter().find(|server| server.address() == old).unwrap();
    old.restart().unwrap();
    // A Sentinel that turns a master into a replica cuts off its clients, this one among them.
    let follows = || old.info("role").is_ok_and(|role| role == "slave");
    until("the old master follows", DEADLINE, follows).unwrap();
}

#[test]
fn a_failover_can_be_asked_for() {
    let bed = SentinelBed::start(Duration::from_secs(5)).unwrap();
    assert_eq!(bed.url().matches("127.0.0.1:").count(), 3);
    let old = bed.master_address().unwrap();
    bed.fail_over().unwrap();
    bed.await_other_master(old, DEADLINE).unwrap();
}
