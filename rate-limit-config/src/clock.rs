//! The clock by which tokens, list entries and stale keys expire.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rate_limit_core::{Clock, Timestamp};

/// The operating system's. No limit is decided by it: stores have clocks of their own.
#[derive(Debug)]
pub(crate) struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::ORIGIN.saturating_add(self.origin.elapsed())
    }

    #[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
    fn utc_now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::ORIGIN.saturating_add(since_epoch)
    }
}
