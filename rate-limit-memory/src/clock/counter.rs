//! The processor's time-stamp counter.

use rate_limit_core::{Clock, Timestamp};

use super::{DAY_NANOS, SystemClock};

/// The processor's time-stamp counter, calibrated once against the operating system's clock.
///
/// Reading it takes a third of the time of [`SystemClock`], which is most of a decision. Where there
/// is no counter that counts evenly, this is the operating system's clock after all.
///
/// # Why it is not the default
///
/// A decision is as exact as its clock. The counter's rate is measured for a moment when the clock
/// is made, and the operating system no longer corrects it afterwards. If it is off by a part `e`,
/// then so is every limit: what passes in an interval `t` by an exact clock is at most
/// `burst + rate · t · (1 + e)`. On one machine `e` is a few millionths; a virtual machine that
/// moves to a host with another frequency, or is suspended, has been seen to be off by tens of
/// percent until the process is started again. Between processors that do not count alike an instant
/// may be up to their difference `d` too late or too early, which adds `rate · d` once.
///
/// A clock that is coarse instead, such as one that advances every millisecond, would add
/// `rate · 1 ms` to every interval, and would tell waits that are too short by as much.
///
/// So use it where the machine is known, and limits are there to protect and not to bill.
#[derive(Clone, Debug)]
pub struct TimeStampCounterClock {
    counter: quanta::Clock,
    origin: u64,
    time_of_day: SystemClock,
}

impl TimeStampCounterClock {
    /// Calibrates the counter, which takes up to 200 ms the first time in a process.
    pub fn new() -> Self {
        let counter = quanta::Clock::new();
        Self { origin: counter.raw(), counter, time_of_day: SystemClock::new() }
    }
}

impl Default for TimeStampCounterClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TimeStampCounterClock {
    #[inline]
    fn now(&self) -> Timestamp {
        let nanos = self.counter.delta_as_nanos(self.origin, self.counter.raw());
        Timestamp::from_nanos(nanos.saturating_add(DAY_NANOS))
    }

    fn utc_now(&self) -> Timestamp {
        self.time_of_day.utc_now()
    }
}
