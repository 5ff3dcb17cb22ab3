//! What SQLite may complain about while the store runs, and what that means for a caller.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rate_limit_core::{RepositoryError, RepositoryErrorKind};
use rusqlite::ErrorCode;

/// Why a transaction failed. Every call of it is told so.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    kind: RepositoryErrorKind,
    text: Arc<str>,
}

impl Failure {
    /// What SQLite said about the file at `path`.
    pub(crate) fn new(path: &Path, error: &rusqlite::Error) -> Self {
        let text = format!("{}: {error}", path.display()).into();
        Self { kind: kind(error), text }
    }
}

impl From<&Failure> for RepositoryError {
    fn from(failure: &Failure) -> Self {
        Self::with_source(failure.kind, failure.clone())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// A full disk and failing hardware come and go by themselves; permissions and damage do not.
fn kind(error: &rusqlite::Error) -> RepositoryErrorKind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => RepositoryErrorKind::Corrupt,
        Some(
            ErrorCode::AuthorizationForStatementDenied
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly,
        ) => RepositoryErrorKind::Misconfigured,
        Some(_) => RepositoryErrorKind::Unavailable,
        // Not SQLite but our reading of a row complains: it has not the form that we write.
        None => RepositoryErrorKind::Corrupt,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn each_family_of_errors_has_its_kind() {
        use RepositoryErrorKind::{Corrupt, Misconfigured, Unavailable};
        let cases = [
            (ffi::SQLITE_FULL, Unavailable),
            (ffi::SQLITE_IOERR_WRITE, Unavailable),
            (ffi::SQLITE_BUSY, Unavailable),
            (ffi::SQLITE_NOMEM, Unavailable),
            (ffi::SQLITE_READONLY, Misconfigured),
            (ffi::SQLITE_PERM, Misconfigured),
            (ffi::SQLITE_CORRUPT, Corrupt),
            (ffi::SQLITE_NOTADB, Corrupt),
        ];
        for (code, expected) in cases {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let failure = Failure::new(Path::new("limits.db"), &error);
            let error = RepositoryError::from(&failure);
            assert_eq!(error.kind(), expected, "{code}");
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.starts_with("limits.db: "), "{source}");
        }
    }
}
