//! A clock that moves only when a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::{Clock, Timestamp, saturating_nanos};

/// 2026-01-01T00:00:00Z in nanoseconds since the Unix epoch.
const NEW_YEAR_2026: u64 = 1_767_225_600 * 1_000_000_000;
/// One hour, so that a test can step the monotonic clock back.
const START: u64 = 3_600 * 1_000_000_000;

/// A [`Clock`] for tests: time stands still until it is told to move.
///
/// Clones share their time, so a test keeps one and gives another to the store. The monotonic axis
/// starts one hour after its origin, the UTC axis at 2026-01-01T00:00:00Z.
///
/// # Example: no sleeping in tests
///
/// ```
/// use std::time::Duration;
/// use rate_limit_core::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().nanos_since(before), 60_000_000_000);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    axes: Arc<Axes>,
}

#[derive(Debug)]
struct Axes {
    monotonic: AtomicU64,
    utc: AtomicU64,
}

impl ManualClock {
    /// A clock that stands still at its start.
    pub fn new() -> Self {
        Self {
            axes: Arc::new(Axes {
                monotonic: AtomicU64::new(START),
                utc: AtomicU64::new(NEW_YEAR_2026),
            }),
        }
    }

    /// Moves both axes forward.
    pub fn advance(&self, by: Duration) {
        self.step_monotonic_forward(by);
        self.step_utc_forward(by);
    }

    /// Moves both axes back, as if the clock had been set; neither passes its origin.
    pub fn step_back(&self, by: Duration) {
        step(&self.axes.monotonic, |now| now.saturating_sub(saturating_nanos(by)));
        self.step_utc_back(by);
    }

    /// Moves only the time of day forward, as an administrator does.
    pub fn step_utc_forward(&self, by: Duration) {
        step(&self.axes.utc, |now| now.saturating_add(saturating_nanos(by)));
    }

    /// Moves only the time of day back, as an administrator does.
    pub fn step_utc_back(&self, by: Duration) {
        step(&self.axes.utc, |now| now.saturating_sub(saturating_nanos(by)));
    }

    /// Moves only the monotonic axis forward.
    pub fn step_monotonic_forward(&self, by: Duration) {
        step(&self.axes.monotonic, |now| now.saturating_add(saturating_nanos(by)));
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.axes.monotonic.load(Ordering::SeqCst))
    }

    fn utc_now(&self) -> Timestamp {
        Timestamp::from_nanos(self.axes.utc.load(Ordering::SeqCst))
    }
}

/// One atomic move. Sequential consistency because tests move the clock from other threads and
/// nobody measures this.
fn step(axis: &AtomicU64, to: impl Fn(u64) -> u64) {
    let mut now = axis.load(Ordering::SeqCst);
    while let Err(actual) = axis.compare_exchange(now, to(now), Ordering::SeqCst, Ordering::SeqCst)
    {
        now = actual;
    }
}
