//! The time of day, for the one header field that names an instant and for sampling log lines, and
//! the monotonic time, for measuring how long the store takes.

#[cfg(feature = "metrics")]
use std::sync::OnceLock;
#[cfg(feature = "metrics")]
use std::time::Instant;
use std::time::SystemTime;

use rate_limit_core::{Clock, Timestamp};

/// Where `X-RateLimit-Reset` gets the time of day from. No decision depends on it.
#[derive(Debug, Default)]
pub(crate) enum TimeOfDay {
    #[default]
    System,
    Clock(Box<dyn Clock>),
}

impl TimeOfDay {
    /// The present instant since the Unix epoch.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Clock(clock) => clock.utc_now(),
        }
    }

    /// The present instant on an axis that never steps.
    #[cfg(feature = "metrics")]
    pub(crate) fn monotonic(&self) -> Timestamp {
        match self {
            Self::System => system_monotonic(),
            Self::Clock(clock) => clock.now(),
        }
    }
}

/// One of the two places in this crate that read a real clock. A clock set before 1970 reads as 1970.
#[allow(clippy::disallowed_methods)]
fn system_now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::ORIGIN.saturating_add(since_epoch.unwrap_or_default())
}

/// The other one. Counts from the first call.
#[cfg(feature = "metrics")]
#[allow(clippy::disallowed_methods)]
fn system_monotonic() -> Timestamp {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    Timestamp::ORIGIN.saturating_add(ORIGIN.get_or_init(Instant::now).elapsed())
}
