//! Where states are kept, and under which key.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};

use super::mistake::Mistake;
use crate::evaluate::Record;
use crate::identity::ClientIdentity;
use crate::policy::RateLimitPolicy;
use crate::time::Timestamp;

/// Keys that a store remembers if it forgets the least recently used one.
const REMEMBERED: usize = 1_000;

pub(super) type Key = (String, Vec<u8>);

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    records: HashMap<Key, Record>,
    /// Least recently used first. Only kept by the store that forgets.
    used: VecDeque<Key>,
    /// The latest instant seen.
    pub(super) latest: Timestamp,
}

pub(super) fn key(mistake: Mistake, who: &ClientIdentity, policy: &RateLimitPolicy) -> Key {
    let bytes = who.as_bytes();
    let bytes = match mistake {
        Mistake::MixesKinds => bytes.iter().skip(1).copied().collect(),
        Mistake::CutsLongIdentities => bytes.iter().take(256).copied().collect(),
        Mistake::IgnoresCase => bytes.to_ascii_lowercase(),
        Mistake::HashesTooShort => {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            (hasher.finish() % 4_096).to_be_bytes().to_vec()
        }
        _ => bytes.to_vec(),
    };
    let bucket = match mistake {
        Mistake::IgnoresPolicyName => policy.algorithm().format(),
        Mistake::KeysByNameOnly => policy.name().to_string(),
        Mistake::KeysByLimit => format!("{}/{}", policy.bucket_name(), policy.limit()),
        _ => policy.bucket_name().to_owned(),
    };
    (bucket, bytes)
}

impl Keeping {
    pub(super) fn load(&self, key: &Key) -> Record {
        self.records.get(key).cloned().unwrap_or_default()
    }

    /// Keeps what has changed.
    pub(super) fn save(&mut self, mistake: Mistake, key: Key, record: Record) {
        let Record { bucket, ladder, bucket_changed, ladder_changed } = record;
        if !bucket_changed && !ladder_changed {
            return;
        }
        if mistake == Mistake::ForgetsLeastRecentlyUsed {
            self.make_room(&key);
        }
        let kept = self.records.entry(key).or_default();
        if bucket_changed {
            kept.bucket = bucket;
        }
        if ladder_changed {
            kept.ladder = ladder;
        }
    }

    fn make_room(&mut self, key: &Key) {
        self.used.retain(|used| used != key);
        self.used.push_back(key.clone());
        while self.used.len() > REMEMBERED {
            if let Some(forgotten) = self.used.pop_front() {
                self.records.remove(&forgotten);
            }
        }
    }

    pub(super) fn forget_everything(&mut self) {
        self.records.clear();
    }
}
