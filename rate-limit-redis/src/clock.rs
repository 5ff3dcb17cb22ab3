//! The one place where this crate reads the clock and waits for it: for deadlines and for the pauses
//! between attempts. Buckets live by the server's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rate_limit_core::{Clock, Timestamp};

/// The monotonic clock.
#[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The same clock as a port, for what is measured in this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    pub(crate) fn new() -> Self {
        Self { origin: now() }
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

/// Waits, in a task that nobody waits for.
#[allow(clippy::disallowed_methods, reason = "this is the place where the clock is waited for")]
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
