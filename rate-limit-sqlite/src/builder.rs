//! Building the store.

use std::path::PathBuf;

use rate_limit_core::Clock;

use crate::clock::WallClock;
use crate::file;
use crate::repository::SqliteRepository;

mod error;

pub use error::SqliteError;

/// What outlives what.
///
/// Neither choice lets a crash damage the file, and in both a decision is all or nothing. The
/// question is whether a charge that was answered is still there afterwards.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    /// What was answered outlives the process, however it ends: by then the operating system has it.
    /// If the machine loses its power, the last charges may be lost, on common systems those of the
    /// last half minute; clients then may take these units again.
    ///
    /// The default, because a limiter is asked before every request and the units at stake are few.
    #[default]
    OutliveProcess,
    /// What was answered outlives the machine too: every transaction waits until the disk has it,
    /// which takes as long as the disk takes, milliseconds on common ones.
    OutlivePowerCut,
}

/// Builds a [`SqliteRepository`].
///
/// # Example: a store for a quota that is billed
///
/// ```
/// use rate_limit_sqlite::{Durability, SqliteRepository};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("limits.db");
/// let store = SqliteRepository::builder(path)
///     // Nobody gets a unit twice because of a power cut.
///     .durability(Durability::OutlivePowerCut)
///     .max_keys(5_000_000)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct SqliteRepositoryBuilder {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) max_keys: u64,
    pub(crate) max_queued: usize,
    pub(crate) clock: Option<Box<dyn Clock>>,
}

impl SqliteRepositoryBuilder {
    /// The cap of a store that was not given one: 1,000,000 keys.
    pub const DEFAULT_MAX_KEYS: u64 = 1_000_000;

    /// The smallest cap: 64 keys. A request may be charged against several policies at once, and
    /// their buckets must fit beside each other.
    pub const MIN_MAX_KEYS: u64 = 64;

    /// The largest cap: 1,000,000,000 keys.
    pub const MAX_MAX_KEYS: u64 = 1_000_000_000;

    /// How many calls may wait for their turn if nobody says otherwise: 1,024.
    pub const DEFAULT_MAX_QUEUED: usize = 1_024;

    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            durability: Durability::default(),
            max_keys: Self::DEFAULT_MAX_KEYS,
            max_queued: Self::DEFAULT_MAX_QUEUED,
            clock: None,
        }
    }

    /// What outlives what; the process by default.
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many buckets are kept at most, 64 to 1,000,000,000. Each entry of a sliding log counts
    /// as one. A file that holds more is brought down to the cap by its first changes.
    pub const fn max_keys(mut self, max_keys: u64) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// How many calls may wait while a transaction is under way, 1 to 1,000,000. The next one is
    /// answered at once, with an error; the failure modes of its policies decide.
    pub const fn max_queued(mut self, max_queued: usize) -> Self {
        self.max_queued = max_queued;
        self
    }

    /// Where the store gets its time from; a [`WallClock`] by default. States in the file count on
    /// [`Clock::now`], so it has to mean the same in the next process.
    ///
    /// # Example: a test that does not sleep
    ///
    /// ```
    /// use rate_limit_core::ManualClock;
    /// use rate_limit_sqlite::SqliteRepository;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("limits.db");
    /// let clock = ManualClock::new();
    /// let store = SqliteRepository::builder(path).clock(clock.clone()).build()?;
    /// clock.advance(std::time::Duration::from_secs(3_600));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    /// Checks everything, opens the file or makes a new one, and starts the thread that owns it.
    ///
    /// This reads the whole file once, to find damage now and not in a decision, and blocks for as
    /// long as that takes.
    ///
    /// # Errors
    ///
    /// [`SqliteError`] if an option is out of range, or if the file is not usable: in use by another
    /// process, of another program or of a newer version, damaged, or out of reach.
    pub fn build(mut self) -> Result<SqliteRepository, SqliteError> {
        let (min, max) = (Self::MIN_MAX_KEYS, Self::MAX_MAX_KEYS);
        if !(min..=max).contains(&self.max_keys) {
            return Err(SqliteError::MaxKeys { max_keys: self.max_keys, min, max });
        }
        let (min, max) = (1, 1_000_000);
        if !(min..=max).contains(&self.max_queued) {
            return Err(SqliteError::MaxQueued { max_queued: self.max_queued, min, max });
        }
        let clock = self.clock.take().unwrap_or_else(|| Box::new(WallClock::new()));
        SqliteRepository::start(file::open(&self.path, self.durability)?, clock, &self)
    }
}
