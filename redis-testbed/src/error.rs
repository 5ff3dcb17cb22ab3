//! Why a server could not be started or did not do what was asked.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a server could not be started or did not do what was asked.
///
/// Its `Debug` text is the message itself, because tests show it when they unwrap.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TestbedError {
    /// No server program was found.
    #[error(
        "no Redis server is installed; install the package `redis-server` or `valkey-server`, \
         or set REDIS_SERVER_PROGRAM to its path"
    )]
    NoProgram,
    /// `REDIS_SERVER_PROGRAM` names something that does not run.
    #[error("REDIS_SERVER_PROGRAM is `{}`, expected the path of a Redis server: {reason}", path.display())]
    BadProgram {
        /// What the variable says.
        path: PathBuf,
        /// What happened when it was asked for its version.
        reason: String,
    },
    /// The server ended before it was ready.
    #[error("the Redis server ended before it was ready; its log says:\n{log}")]
    Ended {
        /// The last lines of its log.
        log: String,
    },
    /// A condition did not come true in time.
    #[error("not within {after:?}: {what}")]
    TooLate {
        /// The condition.
        what: String,
        /// How long it was awaited.
        after: Duration,
    },
    /// Every port of the range is taken.
    #[error("no port is free in {0:?} (nor the one 10,000 higher, which a cluster node needs)")]
    NoPort(std::ops::Range<u16>),
    /// The server refused a command or went away.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// The operating system refused something.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// Redis answered something else than it documents.
    #[error("unexpected answer to {command}: {answer}")]
    Unexpected {
        /// What was asked.
        command: &'static str,
        /// What came.
        answer: String,
    },
}

impl TestbedError {
    pub(crate) fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }
}

impl fmt::Debug for TestbedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
