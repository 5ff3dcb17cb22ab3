//! Whom operators have blocked, until when, and why: a document of its own in the store, so that every
//! instance knows.

use std::collections::HashMap;
use std::fmt;

use rate_limit_config::AccessEntry;
use rate_limit_core::{ApiKeyDigest, Network, Timestamp};
use rate_limit_tower::parse_network;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::fields::{Flaw, Flaws, Object};

/// Blocks that are kept at most.
pub(crate) const MAX_BLOCKS: usize = 10_000;

/// The longest time: ten years. Whoever wants to block for ever says nothing.
const MAX_SECONDS: u64 = 10 * 366 * 24 * 3_600;

/// The longest reason, in bytes.
const MAX_REASON: usize = 200;

const SECOND_NANOS: u64 = 1_000_000_000;

/// Who is blocked.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Who {
    /// By the digest of an API key. The key itself is not kept.
    ApiKey([u8; 32]),
    /// By an address or a network, however it was spelled.
    Network(Network),
    /// By the name of a user.
    User(String),
}

/// One block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Block {
    pub(crate) who: Who,
    /// In seconds since the Unix epoch; `None` for ever.
    pub(crate) until: Option<u64>,
    pub(crate) reason: Option<String>,
}

impl Who {
    /// The fields by which somebody is named.
    pub(crate) const FIELDS: [&str; 4] = ["ip", "user", "apiKey", "apiKeySha256"];

    /// Who is named, by exactly one of the fields.
    pub(crate) fn read(object: &Object<'_>, flaws: &mut Flaws) -> Option<Self> {
        let named: Vec<&str> = Self::FIELDS.into_iter().filter(|name| object.has(name)).collect();
        let [name] = named.as_slice() else {
            flaws.add(Flaw::new(object.at("ip"), format!("one of {}", Self::FIELDS.join(", "))));
            return None;
        };
        let text = object.text(name, flaws)?;
        match *name {
            "ip" => {
                let Ok(network) = parse_network(text) else {
                    let expected = "an address or a network, such as 192.0.2.1 or 192.0.2.0/24";
                    flaws.add(Flaw::new(object.at("ip"), expected));
                    return None;
                };
                Some(Self::Network(network))
            }
            "user" => Some(Self::User(text.to_owned())),
            "apiKey" => Some(Self::ApiKey(Sha256::digest(text).into())),
            _ => {
                let mut digest = [0; 32];
                if hex::decode_to_slice(text, &mut digest).is_err() {
                    flaws.add(Flaw::new(object.at(name), "64 hexadecimal digits"));
                    return None;
                }
                Some(Self::ApiKey(digest))
            }
        }
    }

    fn member(&self) -> (&'static str, String) {
        match self {
            Self::ApiKey(digest) => ("apiKeySha256", hex::encode(digest)),
            Self::Network(network) => ("ip", network.to_string()),
            Self::User(name) => ("user", name.clone()),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.member();
        write!(f, "{kind}:{name}")
    }
}

impl Block {
    /// The block that a request describes.
    pub(crate) fn read(value: &Value, now_seconds: u64, flaws: &mut Flaws) -> Option<Self> {
        let known = [Who::FIELDS.as_slice(), &["expiresInSeconds", "reason"]].concat();
        let object = Object::read("", value, &known, flaws)?;
        let who = Who::read(&object, flaws);
        let seconds = object.whole("expiresInSeconds", 1..=MAX_SECONDS, flaws);
        let reason = object.text("reason", flaws);
        if reason.is_some_and(|reason| reason.len() > MAX_REASON) {
            flaws.add(Flaw::new("reason", format!("at most {MAX_REASON} bytes")));
        }
        let until = seconds.map(|seconds| now_seconds.saturating_add(seconds));
        Some(Self { who: who?, until, reason: reason.map(str::to_owned) })
    }

    /// What the rules say of it.
    pub(crate) fn entry(&self) -> AccessEntry {
        let mut entry = AccessEntry::default();
        match &self.who {
            Who::ApiKey(digest) => entry.api_keys.push(ApiKeyDigest::from_sha256(*digest)),
            Who::Network(network) => entry.networks.push(*network),
            Who::User(name) => entry.users.push(name.clone()),
        }
        let until = self.until.map(|seconds| seconds.saturating_mul(SECOND_NANOS));
        entry.until = until.map(|nanos| Timestamp::ORIGIN.plus_nanos(nanos));
        entry.reason.clone_from(&self.reason);
        entry
    }

    /// Whether it still says anything.
    pub(crate) fn holds(&self, now_seconds: u64) -> bool {
        self.until.is_none_or(|until| now_seconds < until)
    }

    /// When it ends, in seconds since the Unix epoch.
    fn end(&self) -> u64 {
        self.until.unwrap_or(u64::MAX)
    }

    pub(crate) fn document(&self) -> Value {
        let (name, who) = self.who.member();
        let mut members = Map::from_iter([(name.to_owned(), Value::String(who))]);
        if let Some(until) = self.until {
            members.insert("until".to_owned(), until.into());
        }
        if let Some(reason) = &self.reason {
            members.insert("reason".to_owned(), reason.as_str().into());
        }
        Value::Object(members)
    }
}

/// The blocks in a document, one for each client. What cannot be read is left out, so that the others
/// hold.
///
/// Earlier releases kept addresses as they were spelled, so one client may stand there twice. The
/// block counts that lasts longer, as it does in the rules.
pub(crate) fn parse(content: &[u8]) -> Vec<Block> {
    let Ok(Value::Array(entries)) = serde_json::from_slice(content) else {
        return Vec::new();
    };
    let mut blocks: Vec<Block> = Vec::with_capacity(entries.len());
    let mut places = HashMap::new();
    for block in entries.iter().filter_map(parsed) {
        let place = *places.entry(block.who.clone()).or_insert(blocks.len());
        match blocks.get_mut(place) {
            Some(other) if other.end() < block.end() => *other = block,
            Some(_) => {}
            None => blocks.push(block),
        }
    }
    blocks
}

fn parsed(entry: &Value) -> Option<Block> {
    let mut ignored = Flaws::default();
    let known = [Who::FIELDS.as_slice(), &["until", "reason"]].concat();
    let object = Object::read("", entry, &known, &mut ignored)?;
    let who = Who::read(&object, &mut ignored)?;
    let until = object.value("until").and_then(Value::as_u64);
    let reason = object.value("reason").and_then(Value::as_str).map(str::to_owned);
    Some(Block { who, until, reason })
}

/// The document of these blocks.
pub(crate) fn written(blocks: &[Block]) -> Vec<u8> {
    json!(blocks.iter().map(Block::document).collect::<Vec<_>>()).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Block, Vec<Flaw>> {
        let mut flaws = Flaws::default();
        let block = Block::read(&body, 1_000, &mut flaws);
        flaws.finish(block)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let blocks: Vec<Block> = [
            json!({ "ip": "192.0.2.0/24", "expiresInSeconds": 60, "reason": "flood" }),
            json!({ "ip": "2001:db8::1" }),
            json!({ "user": "alice" }),
            json!({ "apiKey": "secret" }),
        ]
        .map(|body| read(body).unwrap())
        .into();
        let written = written(&blocks);
        assert!(!String::from_utf8_lossy(&written).contains("secret"));
        assert_eq!(parse(&written), blocks);
        assert!(blocks[0].holds(1_059) && !blocks[0].holds(1_060));
        assert!(blocks[1].holds(u64::MAX));
    }

    #[test]
    fn a_key_and_its_digest_are_one_client() {
        let digest = hex::encode(Sha256::digest("secret"));
        let by_digest = read(json!({ "apiKeySha256": digest })).unwrap();
        assert_eq!(read(json!({ "apiKey": "secret" })).unwrap(), by_digest);
    }

    #[test]
    fn an_address_is_one_client_however_it_is_spelled() {
        let spelled = |text: &str| read(json!({ "ip": text })).unwrap();
        for [one, other, canonical] in [
            ["2001:DB8::1", "2001:db8:0:0::1", "2001:db8::1"],
            ["2001:DB8::/32", "2001:db8:0::/32", "2001:db8::/32"],
            ["192.0.2.1", "192.0.2.1/32", "192.0.2.1"],
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"],
        ] {
            assert_eq!(spelled(one), spelled(other));
            assert_eq!(spelled(other).document(), json!({ "ip": canonical }));
        }
        assert_ne!(spelled("192.0.2.0"), spelled("192.0.2.0/24"));
    }

    /// As an earlier release has written it.
    #[test]
    fn of_two_spellings_in_a_document_the_block_counts_that_lasts_longer() {
        let content = br#"[{"ip":"2001:DB8::1","until":50},{"user":"alice"},
            {"ip":"2001:db8::1","until":70,"reason":"flood"},{"ip":"2001:db8:0::1","until":60},
            {"ip":"192.0.2.1/32"},{"ip":"192.0.2.1","until":50}]"#;
        let documents: Vec<Value> = parse(content).iter().map(Block::document).collect();
        let expected = [
            json!({ "ip": "2001:db8::1", "until": 70, "reason": "flood" }),
            json!({ "user": "alice" }),
            json!({ "ip": "192.0.2.1" }),
        ];
        assert_eq!(documents, expected);
    }

    #[test]
    fn who_is_named_by_none_or_several_is_nobody() {
        let long = "x".repeat(MAX_REASON + 1);
        for body in [
            json!({}),
            json!({ "ip": "192.0.2.1", "user": "alice" }),
            json!({ "ip": "everybody" }),
            json!({ "apiKeySha256": "abc" }),
            json!({ "user": "alice", "expiresInSeconds": 0 }),
            json!({ "user": "alice", "reason": long }),
            json!({ "user": "alice", "for": 60 }),
        ] {
            assert!(read(body.clone()).is_err(), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_read_leaves_the_others() {
        let content = br#"[{"user":"alice"},{"planet":"mars"},7,{"ip":"nowhere"}]"#;
        assert_eq!(parse(content).len(), 1);
        assert_eq!(parse(b"no JSON").len(), 0);
    }
}
