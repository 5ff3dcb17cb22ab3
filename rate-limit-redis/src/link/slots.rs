//! Which node of a cluster owns which slot.

use redis::Value;

use super::Slot;
use crate::url::Endpoint;

/// The owners of all slots, as one node has told them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Owners {
    pub(super) masters: Vec<Endpoint>,
    /// For each slot the place of its owner among the masters.
    places: Vec<Option<u16>>,
}

impl Owners {
    /// Reads the reply to `CLUSTER SLOTS` of the node at `asked`. `None` if it is none, or empty.
    ///
    /// A node that does not know its own address leaves it out; then it is the one we used.
    pub(super) fn read(reply: &Value, asked: &Endpoint) -> Option<Self> {
        let Value::Array(ranges) = reply else { return None };
        let mut owners = Self { masters: Vec::new(), places: vec![None; usize::from(Slot::COUNT)] };
        for range in ranges {
            let Value::Array(parts) = range else { return None };
            let [first, last, master, ..] = &parts[..] else { return None };
            let (first, last) = (slot(first)?, slot(last)?);
            let master = endpoint(master, asked)?;
            let place = owners.place_of(master)?;
            owners.places.get_mut(first..=last)?.fill(Some(place));
        }
        (!owners.masters.is_empty()).then_some(owners)
    }

    /// The place of the owner of `slot` among the masters.
    pub(super) fn owner(&self, slot: Slot) -> Option<usize> {
        self.places.get(slot.index()).copied().flatten().map(usize::from)
    }

    fn place_of(&mut self, master: Endpoint) -> Option<u16> {
        let place = self.masters.iter().position(|other| *other == master).unwrap_or_else(|| {
            self.masters.push(master);
            self.masters.len() - 1
        });
        u16::try_from(place).ok()
    }
}

/// Reads the place in a redirection such as `3999 127.0.0.1:6381`; the host may be missing.
pub(super) fn redirected(detail: &str, asked: &Endpoint) -> Option<Endpoint> {
    let (host, port) = detail.split_ascii_whitespace().nth(1)?.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { &asked.host } else { host };
    Some(Endpoint { host: host.to_owned(), port: port.parse().ok()? })
}

fn slot(value: &Value) -> Option<usize> {
    match value {
        Value::Int(slot) => usize::try_from(*slot).ok().filter(|slot| *slot < Slot::COUNT.into()),
        _ => None,
    }
}

fn endpoint(value: &Value, asked: &Endpoint) -> Option<Endpoint> {
    let Value::Array(parts) = value else { return None };
    let [host, Value::Int(port), ..] = &parts[..] else { return None };
    let host = match host {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::SimpleString(text) => text,
        Value::Nil => "",
        _ => return None,
    };
    let host = if matches!(host, "" | "?") { &asked.host } else { host };
    Some(Endpoint { host: host.to_owned(), port: u16::try_from(*port).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Endpoint {
        Endpoint { host: "asked".to_owned(), port: 7 }
    }

    fn at(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.to_owned(), port }
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let node = Value::Array(vec![host, Value::Int(port), Value::Nil]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node.clone(), node])
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn each_slot_has_the_owner_that_was_told() {
        let reply = Value::Array(vec![
            range(0, 99, text("a"), 1),
            range(100, 100, text("b"), 2),
            range(16_000, 16_383, text("a"), 1),
        ]);
        let owners = Owners::read(&reply, &asked()).unwrap();
        assert_eq!(owners.masters, [at("a", 1), at("b", 2)]);
        let owner = |slot| owners.owner(Slot::for_test(slot));
        assert_eq!(
            [0, 99, 100, 101, 15_999, 16_383].map(owner),
            [Some(0), Some(0), Some(1), None, None, Some(0)]
        );
    }

    #[test]
    fn a_node_without_an_address_is_the_one_we_asked() {
        for host in [Value::Nil, text(""), text("?")] {
            let reply = Value::Array(vec![range(0, 16_383, host, 9)]);
            assert_eq!(Owners::read(&reply, &asked()).unwrap().masters, [at("asked", 9)]);
        }
    }

    #[test]
    fn what_is_no_map_is_none() {
        for reply in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(0, 16_384, text("a"), 1)]),
            Value::Array(vec![range(-1, 5, text("a"), 1)]),
            Value::Array(vec![range(9, 5, text("a"), 1)]),
            Value::Array(vec![range(0, 5, text("a"), 65_536)]),
            Value::Array(vec![range(0, 5, Value::Int(1), 1)]),
        ] {
            assert_eq!(Owners::read(&reply, &asked()), None, "{reply:?}");
        }
    }

    #[test]
    fn redirections_name_a_place() {
        assert_eq!(redirected("3999 127.0.0.1:6381", &asked()), Some(at("127.0.0.1", 6381)));
        assert_eq!(redirected("1 [::1]:6381", &asked()), Some(at("::1", 6381)));
        assert_eq!(redirected("1 ::1:6381", &asked()), Some(at("::1", 6381)));
        assert_eq!(redirected("1 :6381", &asked()), Some(at("asked", 6381)));
        assert_eq!(redirected("1", &asked()), None);
        assert_eq!(redirected("1 a:x", &asked()), None);
    }
}
