//! Where the counters are kept.

use std::fmt;
use std::time::Duration;

use rate_limit_core::FailureMode;

use crate::secret::Secret;

/// The section `store`. A change of it takes effect with the next start of the program.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoreSettings {
    /// Which store, and where.
    pub url: StoreUrl,
    /// How long a decision may take, measured around the whole call.
    pub timeout: Duration,
    /// When the store is not asked any more for a while.
    pub breaker: BreakerSettings,
    /// What a request gets while the store does not answer, where a rule says nothing else.
    pub on_failure: FailureMode,
    /// How many processes share the store.
    pub nodes: u32,
    /// What the names of all keys in the store begin with.
    pub key_prefix: String,
    /// The key under which digests of identities are computed.
    pub key_secret: Option<Secret>,
    /// How many keys the store in this process keeps at most.
    pub max_keys: u64,
    /// In which pages that store asks the system for its memory.
    pub memory_pages: MemoryPages,
}

/// In which pages the store in this process asks the system for its memory.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum MemoryPages {
    /// As the system gives them.
    #[default]
    Usual,
    /// Of two megabytes, where the system has such pages: sooner found, and provided whole. For
    /// stores of a million clients and more.
    Huge,
}

/// When the store is not asked any more for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BreakerSettings {
    /// After so many failures in a row.
    pub failures: u32,
    /// For how long at first.
    pub open: Duration,
    /// For how long at most.
    pub max_open: Duration,
}

/// Which kind of store.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StoreKind {
    /// `memory://`: in this process.
    Memory,
    /// `redis://` and all that begin with `redis` or `rediss`, and `unix://`.
    Redis,
    /// `sqlite://path`: in a file.
    Sqlite,
}

/// Which store, and where. It may hold a password, so it is shown without.
#[derive(Clone, Eq, PartialEq)]
pub struct StoreUrl {
    kind: StoreKind,
    text: Secret,
    shown: String,
}

impl StoreUrl {
    pub(crate) fn new(kind: StoreKind, text: &str, shown: String) -> Self {
        Self { kind, text: Secret::new(text), shown }
    }

    pub(crate) fn memory() -> Self {
        Self::new(StoreKind::Memory, "memory://", "memory://".to_owned())
    }

    /// Which kind of store.
    pub const fn kind(&self) -> StoreKind {
        self.kind
    }

    /// The whole text, with the password in it.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(self.text.expose()).unwrap_or_default()
    }
}

/// Without user, password and options.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown, f)
    }
}
