//! What can be wrong with keys.

use std::path::PathBuf;

use thiserror::Error;

/// Why tokens cannot be verified. No variant carries a key.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum JwtError {
    /// A file of keys cannot be read.
    #[error("the keys in {path} cannot be used: {reason}; expected {expected}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// A key of the configuration does not fit its algorithm.
    #[error(
        "identity.jwt.keys: key {number} is no key for {algorithm}: {reason}; expected {expected}"
    )]
    Key {
        /// Which key, counted from 1.
        number: usize,
        /// Its algorithm.
        algorithm: &'static str,
        /// What is wrong with it.
        reason: String,
        /// What would have been accepted.
        expected: &'static str,
    },
}
