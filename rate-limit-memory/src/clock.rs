//! The clock of the operating system, and beside it the processor's counter.

use std::time::{SystemTime, UNIX_EPOCH};

use rate_limit_core::{Clock, Timestamp};

use self::monotonic::Origin;

mod monotonic;

#[cfg(feature = "quanta")]
mod counter;

#[cfg(feature = "quanta")]
pub use counter::TimeStampCounterClock;

/// The operating system's monotonic clock, and its time of day.
///
/// The monotonic axis begins a day before the clock was made, so that no window seems to begin
/// before time does. Reading it costs about 20 ns and no system call on Linux. A time-stamp counter
/// is faster, but drifts between hypervisors, and with it every limit; it is there with the feature
/// `quanta`.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Origin,
}

const DAY_NANOS: u64 = 24 * 3_600 * 1_000_000_000;

impl SystemClock {
    /// A clock whose monotonic axis begins a day ago.
    pub fn new() -> Self {
        Self { origin: Origin::ago(DAY_NANOS) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.origin.elapsed_nanos())
    }

    #[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
    fn utc_now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::ORIGIN.saturating_add(since_epoch)
    }
}
