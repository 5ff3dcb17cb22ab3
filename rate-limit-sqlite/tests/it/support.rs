//! What the tests share.

use std::path::PathBuf;
use std::sync::Arc;

use rate_limit_core::conformance::block_on;
use rate_limit_core::{
    Charge, Charges, ClientIdentity, ManualClock, Outcome, RateLimitPolicy, RateLimitPolicyBuilder,
    RateLimitRepository,
};
use rate_limit_sqlite::SqliteRepository;
use tempfile::TempDir;

/// A folder for files that goes with the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("limits.db")
    }

    /// The store in this folder, as another process finds it.
    pub(crate) fn open(&self, clock: &ManualClock) -> SqliteRepository {
        SqliteRepository::builder(self.file()).clock(clock.clone()).build().unwrap()
    }
}

pub(crate) fn policy(builder: RateLimitPolicyBuilder) -> Arc<RateLimitPolicy> {
    Arc::new(builder.build().unwrap())
}

pub(crate) fn user(number: usize) -> ClientIdentity {
    ClientIdentity::user(number.to_string()).unwrap()
}

pub(crate) fn charge(who: &ClientIdentity, policy: &Arc<RateLimitPolicy>, units: u64) -> Charges {
    Charges::one(Charge::new(who.clone(), policy.clone(), units))
}

pub(crate) fn ask(
    store: &impl RateLimitRepository,
    who: &ClientIdentity,
    policy: &Arc<RateLimitPolicy>,
    units: u64,
) -> Outcome {
    *block_on(store.acquire(&charge(who, policy, units))).unwrap().get(0).unwrap()
}
