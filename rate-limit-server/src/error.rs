//! Why the server cannot work.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use rate_limit_config::{ApplyError, ConfigurationError};
use thiserror::Error;

use crate::token::TokenError;

/// Why the server cannot work. No text of it holds a secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No layer can be made of the rules.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The file for administrative calls cannot be written.
    #[error("the audit log {path} cannot be opened: {source}", path = path.display())]
    AuditLog {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Something in the rules file cannot work.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// Whoever can reach the address could do everything.
    #[error(
        "{address} can be reached from other machines, and there is no token; expected the \
         variable RATE_LIMIT_TOKEN or --token-file with at least 32 bytes, or an address on \
         loopback such as 127.0.0.1:8080"
    )]
    OpenToAll {
        /// The address.
        address: SocketAddr,
    },
    /// The operating system refuses something that every server needs.
    #[error("the server cannot start: {0}")]
    Runtime(#[source] io::Error),
    /// The store cannot be opened.
    #[error("the store {url} cannot be opened: {reason}")]
    Store {
        /// Where it is, without user and password.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// No store can be opened with these settings.
    #[error("the store {url} cannot be used: {reason}")]
    StoreSettings {
        /// Where it is, without user and password.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl ServerError {
    /// 2 if arguments or rules are to be corrected, otherwise 1.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Apply(_)
            | Self::Configuration(_)
            | Self::OpenToAll { .. }
            | Self::StoreSettings { .. }
            | Self::Token(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}
