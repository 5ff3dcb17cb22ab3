//! The clock of a file: wall time that nobody can set while the store is open.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rate_limit_core::{Clock, Timestamp};

/// The wall time at which this clock was made, moved on by the operating system's monotonic clock.
///
/// States in a file are read by later processes, so they count from an origin that all of them
/// share: the Unix epoch. Setting the time of day while the store is open moves aligned windows and
/// nothing else; what was set meanwhile shows at the next start, where the store goes on from the
/// instant that it has written last.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    made_at: Instant,
    since_epoch: Duration,
}

impl WallClock {
    /// A clock that begins with the present wall time.
    #[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
    pub fn new() -> Self {
        Self { made_at: Instant::now(), since_epoch: since_epoch() }
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::ORIGIN.saturating_add(self.since_epoch.saturating_add(self.made_at.elapsed()))
    }

    fn utc_now(&self) -> Timestamp {
        Timestamp::ORIGIN.saturating_add(since_epoch())
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
