//! What can be wrong with a file or with the options of a store.

use std::path::PathBuf;

use thiserror::Error;

/// Why a store cannot be built.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// The file is damaged.
    #[error(
        "{}: the file is damaged ({detail}); expected an intact one: restore it from a backup, or \
         move it away, and every client begins with full buckets", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// The file belongs to another program.
    #[error(
        "{}: the file is not a store of rate limits ({detail}); expected a path where there is none \
         yet, or one that this store has made", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How that was noticed.
        detail: String,
    },
    /// Another process, or another store in this one, has the file open.
    #[error(
        "{}: the file is in use, by another process or by another store in this one; expected one \
         store for each file: end the other one, clone the store that is open, or share limits \
         through Redis", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The cap is out of range.
    #[error("max_keys = {max_keys} is out of range; expected {min} to {max}")]
    MaxKeys {
        /// The refused cap.
        max_keys: u64,
        /// The smallest accepted one.
        min: u64,
        /// The largest accepted one.
        max: u64,
    },
    /// The length of the queue is out of range.
    #[error("max_queued = {max_queued} is out of range; expected {min} to {max}")]
    MaxQueued {
        /// The refused length.
        max_queued: usize,
        /// The shortest accepted one.
        min: usize,
        /// The longest accepted one.
        max: usize,
    },
    /// The file was written by a newer version of this store.
    #[error(
        "{}: the file has format {found}; expected at most {known}: use the version of this program \
         that wrote it, or another file", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: i64,
        /// The newest format that is known here.
        known: i64,
    },
    /// The file cannot be read or written.
    #[error(
        "{}: cannot open the file ({detail}); expected a path in an existing folder of a local file \
         system, where this process may create and write files", path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What stood in the way.
        detail: String,
    },
}
