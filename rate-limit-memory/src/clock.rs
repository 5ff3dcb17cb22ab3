//! The clock of the operating system, and beside it the processor's counter.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rate_limit_core::{Clock, Timestamp};

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
    origin: Instant,
}

const DAY_NANOS: u64 = 24 * 3_600 * 1_000_000_000;

impl SystemClock {
    /// A clock whose monotonic axis begins a day ago.
    #[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
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
        let elapsed = self.origin.elapsed();
        // Seconds and nanoseconds apart: `as_nanos` would compute in 128 bits.
        let nanos = elapsed.as_secs().saturating_mul(1_000_000_000);
        let nanos = nanos.saturating_add(u64::from(elapsed.subsec_nanos()));
        Timestamp::from_nanos(nanos.saturating_add(DAY_NANOS))
    }

    #[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
    fn utc_now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::ORIGIN.saturating_add(since_epoch)
    }
}
