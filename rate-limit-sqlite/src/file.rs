//! The file: whose it is, its form, and how it is opened.
//!
//! ```sql
//! -- PRAGMA application_id = 0x524C696D ("RLim"); PRAGMA user_version = 1
//! CREATE TABLE file   (id INTEGER PRIMARY KEY, secret BLOB, mark INTEGER);
//! CREATE TABLE bucket (key BLOB PRIMARY KEY, axis INTEGER, queued INTEGER, weight INTEGER, state BLOB);
//! CREATE INDEX queue ON bucket (axis, queued);
//! CREATE TABLE document (name TEXT PRIMARY KEY, version INTEGER, content BLOB);
//! ```
//!
//! `queued` is a lower bound of the instant from which the row may be cleared. Charging moves that
//! instant into the future and leaves `queued` alone, so the index is not touched by decisions; it
//! is brought up to date when the row comes to the front.
//!
//! The lock is exclusive, and taken before anything is read: a second process would not see what
//! this one has decided but not yet written, and the clock is one process's. An exclusive lock also
//! spares the shared memory that a write-ahead log otherwise needs.

use std::path::{Path, PathBuf};

use rate_limit_core::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::builder::{Durability, SqliteError};
use crate::key::KeyRing;

/// "`RLim`" in ASCII.
const APPLICATION_ID: i64 = 0x524C_696D;

/// The format that this version writes.
const FORMAT: i64 = 1;

/// So often the lock is asked for. Of two programs that ask in the same moment each can be in the
/// other's way, and neither has the file then; whoever has it refuses every attempt at once.
const ATTEMPTS: u32 = 20;

const CREATE: &str = "
    CREATE TABLE file (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        secret BLOB NOT NULL,
        mark INTEGER NOT NULL
    ) STRICT;
    INSERT INTO file VALUES (1, randomblob(16), 0);
    CREATE TABLE bucket (
        key BLOB NOT NULL PRIMARY KEY,
        axis INTEGER NOT NULL,
        queued INTEGER NOT NULL,
        weight INTEGER NOT NULL,
        state BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX queue ON bucket (axis, queued);
    CREATE TABLE document (
        name TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,
        content BLOB
    ) STRICT;
";

/// A file that was opened and looked through.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) keys: KeyRing,
    /// The latest instant that was written.
    pub(crate) mark: Timestamp,
    /// The weight of all rows together.
    pub(crate) taken: u64,
}

/// Opens the file at `path`, or makes it.
///
/// # Errors
///
/// [`SqliteError`] if it is not usable.
pub(crate) fn open(path: &Path, durability: Durability) -> Result<OpenFile, SqliteError> {
    // Absolute, so that neither a name with a meaning in SQLite nor a later change of the working
    // directory lead elsewhere.
    let path = std::path::absolute(path).map_err(|error| SqliteError::Unusable {
        path: path.to_owned(),
        detail: error.to_string(),
    })?;
    let mut opened = try_open(&path, durability);
    for _ in 1..ATTEMPTS {
        match &opened {
            Err(Refusal::Sqlite(error)) if is_busy(error) => opened = try_open(&path, durability),
            _ => break,
        }
    }
    opened.map_err(|refusal| match refusal {
        Refusal::Told(error) => error,
        Refusal::Sqlite(error) => explained(&path, &error),
    })
}

/// Why a file was not opened.
enum Refusal {
    Sqlite(rusqlite::Error),
    Told(SqliteError),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn try_open(path: &Path, durability: Durability) -> Result<OpenFile, Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags)?;
    // Whoever holds the lock holds it for as long as it lives; waiting would only delay the message.
    connection.busy_timeout(std::time::Duration::ZERO)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // From here on the lock is ours. A mere look at the file would share it, and of two programs
    // that both look at once neither could go on to write.
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
    let is_new = check_owner(path, &connection)?;
    configure(path, &connection, durability)?;
    if is_new {
        create(&connection)?;
    } else {
        check_integrity(path, &connection)?;
    }
    let (secret, mark): (Vec<u8>, i64) =
        connection
            .query_row("SELECT secret, mark FROM file", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let secret = <[u8; KeyRing::SECRET_BYTES]>::try_from(secret).map_err(|secret| {
        let detail = format!("the secret has {} bytes", secret.len());
        Refusal::Told(SqliteError::Damaged { path: path.to_owned(), detail })
    })?;
    let sum = "SELECT coalesce(sum(weight), 0) FROM bucket";
    let taken: i64 = connection.query_row(sum, [], |row| row.get(0))?;
    Ok(OpenFile {
        path: path.to_owned(),
        connection,
        keys: KeyRing::new(&secret),
        mark: Timestamp::from_nanos(mark.try_into().unwrap_or(0)),
        taken: taken.try_into().unwrap_or(0),
    })
}

/// Makes sure that the file is ours or nobody's; `true` if it is empty.
fn check_owner(path: &Path, connection: &Connection) -> Result<bool, Refusal> {
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, name, |row| row.get(0))
    };
    let (owner, found) = (pragma("application_id")?, pragma("user_version")?);
    if owner == APPLICATION_ID {
        let path = path.to_owned();
        return match found {
            FORMAT => Ok(false),
            newer if newer > FORMAT => {
                Err(Refusal::Told(SqliteError::Newer { path, found, known: FORMAT }))
            }
            _ => {
                let detail = format!("its format is {found}, which no version has written");
                Err(Refusal::Told(SqliteError::Damaged { path, detail }))
            }
        };
    }
    let count = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = connection.query_row(count, [], |row| row.get(0))?;
    if (owner, found, tables) == (0, 0, 0) {
        return Ok(true);
    }
    let detail = format!("application_id {owner:#x}, user_version {found}, {tables} tables");
    Err(Refusal::Told(SqliteError::Foreign { path: path.to_owned(), detail }))
}

fn configure(path: &Path, connection: &Connection, durability: Durability) -> Result<(), Refusal> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let detail = format!("the file system permits no write-ahead log, only {mode}");
        return Err(Refusal::Told(SqliteError::Unusable { path: path.to_owned(), detail }));
    }
    let synchronous = match durability {
        Durability::OutliveProcess => "NORMAL",
        Durability::OutlivePowerCut => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // 16 MiB of pages in memory, whatever the size of the file.
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // A damaged page is an error and not a wrong answer.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// All of it or nothing, so that a process that is killed meanwhile leaves an empty file.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(CREATE)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

fn check_integrity(path: &Path, connection: &Connection) -> Result<(), Refusal> {
    let detail: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if detail == "ok" {
        return Ok(());
    }
    Err(Refusal::Told(SqliteError::Damaged { path: path.to_owned(), detail }))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// What SQLite's refusal means for whoever wanted to open the file.
fn explained(path: &Path, error: &rusqlite::Error) -> SqliteError {
    let (path, detail) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SqliteError::InUse { path },
        Some(ErrorCode::NotADatabase) => SqliteError::Foreign { path, detail },
        Some(ErrorCode::DatabaseCorrupt) | None => SqliteError::Damaged { path, detail },
        Some(_) => SqliteError::Unusable { path, detail },
    }
}
