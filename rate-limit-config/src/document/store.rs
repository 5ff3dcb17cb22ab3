//! The section `store`.

use rate_limit_core::FailureMode;

use super::duration::Period;
use super::reference::Reference;
use crate::configuration::MemoryPages;
use crate::read::{FromText, OneOf, Refused, Whole, choices, section};

section! {
    /// Where the counters are kept. A change takes effect with the next start.
    pub(crate) struct StoreSection {
        /// Which store: `memory://`, `redis://host`, `rediss://host`, `unix://path`,
        /// `redis+sentinel://hosts/name`, `redis+cluster://hosts` or `sqlite://path`. Also
        /// `env:NAME` or `file:PATH`, where it is kept.
        url: Reference,
        /// How long a decision may take, around the whole call. 25 ms by default.
        timeout: Period,
        /// What a request gets while the store does not answer, where a rule says nothing else.
        on_failure: OneOf<FailureMode>,
        /// How many processes share the store. While it is away, each enforces its share. 1 by
        /// default.
        nodes: Whole<1, 65_535>,
        /// What the names of all keys in the store begin with. "rl" by default.
        key_prefix: KeyPrefix,
        /// The secret under which digests of identities are computed; also `env:NAME` or
        /// `file:PATH`.
        key_secret: Reference,
        /// How many keys `memory://` keeps at most. A million by default.
        max_keys: Whole<1, { u32::MAX as u64 }>,
        /// In which pages `memory://` asks the system for its memory: "usual", the default, or "huge"
        /// ones of two megabytes, for a million clients and more.
        memory_pages: OneOf<MemoryPages>,
        /// When the store is not asked any more for a while.
        breaker: BreakerSection,
    }
}

section! {
    /// When the store is not asked any more for a while, because it did not answer.
    pub(crate) struct BreakerSection {
        /// After so many failures in a row. 5 by default.
        failures: Whole<1, { u32::MAX as u64 }>,
        /// For how long at first. 250 ms by default.
        open: Period,
        /// For how long at most. 5 s by default.
        max_open: Period,
    }
}

choices! { MemoryPages:
    "usual" => Self::Usual,
    "huge" => Self::Huge,
}

/// What keys begin with: short, and without what has a meaning in Redis.
#[derive(Clone, Debug)]
pub(crate) struct KeyPrefix(pub(crate) String);

impl FromText for KeyPrefix {
    const EXPECTED: &'static str = "1 to 64 of the characters A-Z a-z 0-9 _ - .";

    fn from_text(text: &str) -> Result<Self, Refused> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let is_fit = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        if is_fit { Ok(Self(text.to_owned())) } else { Err(Refused::UNLIKE) }
    }
}
