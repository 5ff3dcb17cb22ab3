//! The time of day, for the one header field that names an instant.

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
}

/// The only place in this crate that reads a real clock. A clock set before 1970 reads as 1970.
#[allow(clippy::disallowed_methods)]
fn system_now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::ORIGIN.saturating_add(since_epoch.unwrap_or_default())
}
