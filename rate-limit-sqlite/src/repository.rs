//! The port, implemented.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rate_limit_core::{
    Acquire, Adjustments, Charges, ClientIdentity, Clock, RateLimitPolicy, RateLimitRepository,
    Settle,
};

use crate::buckets::{Book, Session};
use crate::builder::{SqliteError, SqliteRepositoryBuilder};
use crate::deciding::Places;
use crate::file::OpenFile;
use crate::key::{KeyRing, Owner, Place};
use crate::stats::SqliteStats;
use crate::timeline::Timeline;
use crate::worker::Worker;

/// Buckets in one file of this machine, which survive a restart.
///
/// Clones share the file and are cheap. When the last one is dropped, everything that was asked is
/// written, and the file is closed.
///
/// # Example: a limit that a restart does not forgive
///
/// ```
/// use std::sync::Arc;
/// use rate_limit_core::conformance::block_on; // or any runtime
/// use rate_limit_core::{Charge, Charges, ClientIdentity, RateLimitPolicy, RateLimitRepository};
/// use rate_limit_sqlite::SqliteRepository;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("limits.db");
/// let once = Arc::new(RateLimitPolicy::per_day(1).build()?);
/// let charges = Charges::one(Charge::new(ClientIdentity::GLOBAL, once, 1));
///
/// let store = SqliteRepository::open(&path)?;
/// assert!(!block_on(store.acquire(&charges))?.iter().any(|outcome| outcome.is_violated()));
/// drop(store);
///
/// let store = SqliteRepository::open(&path)?;
/// assert!(block_on(store.acquire(&charges))?.iter().any(|outcome| outcome.is_violated()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqliteRepository {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    keys: KeyRing,
    worker: Worker,
}

impl SqliteRepository {
    /// Opens the file at `path`, or makes it, with the default options.
    ///
    /// # Errors
    ///
    /// [`SqliteError`] if the file is not usable; see [`SqliteRepositoryBuilder::build`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteError> {
        Self::builder(path).build()
    }

    /// Begins to build a store in the file at `path`.
    pub fn builder(path: impl AsRef<Path>) -> SqliteRepositoryBuilder {
        SqliteRepositoryBuilder::new(PathBuf::from(path.as_ref()))
    }

    /// How full the store is, how much it does at once, and what it had to forget.
    pub fn stats(&self) -> SqliteStats {
        self.shared.worker.stats()
    }

    pub(crate) fn start(
        file: OpenFile,
        clock: Box<dyn Clock>,
        options: &SqliteRepositoryBuilder,
    ) -> Result<Self, SqliteError> {
        let OpenFile { path, connection, keys, mark, taken } = file;
        let session = Session {
            path: path.clone(),
            connection,
            timeline: Timeline::continued_from(mark, clock),
            book: Book::new(taken, mark),
            cap: options.max_keys,
        };
        let worker = Worker::start(session, options.max_queued).map_err(|error| {
            let detail = format!("no thread for it: {error}");
            SqliteError::Unusable { path, detail }
        })?;
        Ok(Self { shared: Arc::new(Shared { keys, worker }) })
    }

    pub(crate) fn worker(&self) -> &Worker {
        &self.shared.worker
    }

    pub(crate) fn whole_place(&self, identity: &ClientIdentity, policy: &RateLimitPolicy) -> Place {
        self.shared.keys.whole_place(self.shared.keys.owner(identity), policy)
    }

    /// The rows of all buckets. The policies of one rule share an identity, which is then hashed
    /// once.
    fn places<'a>(
        &self,
        buckets: impl Iterator<Item = (&'a ClientIdentity, &'a RateLimitPolicy)>,
    ) -> Places {
        let keys = &self.shared.keys;
        let mut last: Option<(&ClientIdentity, Owner)> = None;
        let place = |(identity, policy): (&'a ClientIdentity, &'a RateLimitPolicy)| {
            let owner = match last {
                Some((same, owner)) if same == identity => owner,
                _ => keys.owner(identity),
            };
            last = Some((identity, owner));
            keys.place(owner, policy)
        };
        buckets.map(place).collect()
    }
}

impl RateLimitRepository for SqliteRepository {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let places =
            self.places(charges.iter().map(|charge| (charge.identity(), &**charge.policy())));
        let charges = charges.clone();
        self.worker().ask(move |session| session.decide(&charges, &places))
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        let buckets = adjustments.iter().map(|one| (&one.identity, &*one.policy));
        let places = self.places(buckets);
        let adjustments = adjustments.clone();
        self.worker().ask(move |session| session.settle(&adjustments, &places))
    }
}
