//! What the store says of itself.

use std::time::Duration;

/// Figures of a [`SqliteRepository`](crate::SqliteRepository). All but the first two count from the
/// opening of the file.
///
/// # Example: is the cap large enough?
///
/// ```
/// use rate_limit_sqlite::SqliteRepository;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("limits.db");
/// let store = SqliteRepository::open(path)?;
/// let stats = store.stats();
/// if stats.evicted_in_debt > 0 {
///     eprintln!("clients were forgiven {:?}; raise max_keys", stats.forgiven);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SqliteStats {
    /// How much of the cap is taken: one for each bucket and each place on a penalty ladder, and one
    /// for each entry of a log.
    pub taken: u64,
    /// The cap.
    pub max_keys: u64,
    /// Calls that were carried out: decisions, corrections, and what operators asked.
    pub calls: u64,
    /// Transactions that changed the file. Under load many calls share one.
    pub commits: u64,
    /// Transactions that failed; their calls were answered with an error and changed nothing.
    pub failures: u64,
    /// Rows that were cleared because they were as good as new.
    pub cleared: u64,
    /// Rows that were forgotten although they were in debt, because there was no room.
    pub evicted_in_debt: u64,
    /// The debt that was lost with them, as the time until they would have been full.
    pub forgiven: Duration,
}
