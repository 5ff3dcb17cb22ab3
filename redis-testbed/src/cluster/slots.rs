//! The commands by which slots are given, found and moved.

use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};

use redis::Value;

use crate::error::TestbedError;
use crate::server::{RedisServer, words_of};

/// Slots and the master that serves them, as one node sees it.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) slots: RangeInclusive<u16>,
    pub(super) master: SocketAddr,
}

pub(super) fn add(node: &RedisServer, slots: Range<u16>) -> Result<(), TestbedError> {
    let numbers: Vec<String> = slots.map(|slot| slot.to_string()).collect();
    let mut words = vec!["CLUSTER", "ADDSLOTS"];
    words.extend(numbers.iter().map(String::as_str));
    node.command(&words).map(drop)
}

pub(super) fn id(node: &RedisServer) -> Result<String, TestbedError> {
    node.ask(words_of(&["CLUSTER", "MYID"]))
}

/// How many nodes it has shaken hands with, itself included.
pub(super) fn acquaintances(node: &RedisServer) -> Result<usize, TestbedError> {
    Ok(lines(node)?
        .lines()
        .filter(|line| !line.contains("handshake") && !line.contains("noaddr"))
        .count())
}

/// Whether it sees every slot served.
pub(super) fn sees_all_served(node: &RedisServer) -> Result<bool, TestbedError> {
    let info: String = node.ask(words_of(&["CLUSTER", "INFO"]))?;
    Ok(info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384"))
}

/// Whether it sees every slot served, nobody failing, and as many replicas as there are.
pub(super) fn is_well(node: &RedisServer, replicas: usize) -> Result<bool, TestbedError> {
    let nodes = lines(node)?;
    let slaves = nodes.lines().filter(|line| line.contains("slave")).count();
    Ok(sees_all_served(node)? && !nodes.contains("fail") && slaves == replicas)
}

fn lines(node: &RedisServer) -> Result<String, TestbedError> {
    node.ask(words_of(&["CLUSTER", "NODES"]))
}

pub(super) fn served(node: &RedisServer) -> Result<Vec<Served>, TestbedError> {
    let answer = node.command(&["CLUSTER", "SLOTS"])?;
    let unexpected =
        || TestbedError::Unexpected { command: "CLUSTER SLOTS", answer: format!("{answer:?}") };
    let Value::Array(ranges) = &answer else { return Err(unexpected()) };
    ranges.iter().map(|range| served_range(range).ok_or_else(unexpected)).collect()
}

fn served_range(range: &Value) -> Option<Served> {
    let Value::Array(parts) = range else { return None };
    let number = |index: usize| match parts.get(index)? {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let Value::Array(master) = parts.get(2)? else { return None };
    let ip: String = redis::from_redis_value_ref(master.first()?).ok()?;
    let port: u16 = redis::from_redis_value_ref(master.get(1)?).ok()?;
    let master = SocketAddr::new(ip.parse().ok()?, port);
    Some(Served { slots: number(0)?..=number(1)?, master })
}

/// Moves one slot as `redis-cli` does: mark on both sides, move the keys, tell every master.
pub(super) fn migrate(
    slot: u16,
    from: &RedisServer,
    to: &RedisServer,
    masters: &[&RedisServer],
) -> Result<(), TestbedError> {
    let (old, new) = (id(from)?, id(to)?);
    let number = slot.to_string();
    to.command(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &old])?;
    from.command(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &new])?;
    loop {
        let get = ["CLUSTER", "GETKEYSINSLOT", &number, "100"];
        let keys: Vec<Vec<u8>> = from.ask(words_of(&get))?;
        if keys.is_empty() {
            break;
        }
        let (ip, port) = (to.address().ip().to_string(), to.address().port().to_string());
        let mut migrate = words_of(&["MIGRATE", &ip, &port, "", "0", "5000", "KEYS"]);
        migrate.arg(keys);
        from.ask::<()>(migrate)?;
    }
    // The new owner first, so that there is one at any moment.
    to.command(&["CLUSTER", "SETSLOT", &number, "NODE", &new])?;
    from.command(&["CLUSTER", "SETSLOT", &number, "NODE", &new])?;
    for master in masters {
        if ![from.address(), to.address()].contains(&master.address()) {
            master.command(&["CLUSTER", "SETSLOT", &number, "NODE", &new])?;
        }
    }
    Ok(())
}
