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
    /// Nanoseconds that the counter takes for 2^[`SCALE_BITS`] counts.
    scale: u64,
    /// What the counter showed at the origin of this clock, a day before it was made. Less than zero
    /// on a machine that was started since, and then around the end of the numbers.
    origin: u64,
    time_of_day: SystemClock,
}

/// See [`TimeStampCounterClock::scale`].
const SCALE_BITS: u32 = 40;

impl TimeStampCounterClock {
    /// Calibrates the counter, which takes up to 200 ms the first time in a process.
    pub fn new() -> Self {
        let counter = quanta::Clock::new();
        // Less than a nanosecond too little for 2^40 counts, which take minutes.
        let scale = counter.delta_as_nanos(0, 1 << SCALE_BITS).max(1);
        let day_counts = (u128::from(DAY_NANOS) << SCALE_BITS).div_ceil(u128::from(scale));
        let origin = counter.raw().wrapping_sub(day_counts as u64);
        Self { scale, origin, counter, time_of_day: SystemClock::new() }
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
        let counts = self.counter.raw().wrapping_sub(self.origin);
        Timestamp::from_nanos(((u128::from(counts) * u128::from(self.scale)) >> SCALE_BITS) as u64)
    }

    fn utc_now(&self) -> Timestamp {
        self.time_of_day.utc_now()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// Both clocks at one moment: the operating system's before and after the counter.
    fn moment(system: &SystemClock, counter: &TimeStampCounterClock) -> (u64, u64, u64) {
        let before = system.now().as_nanos();
        let now = counter.now().as_nanos();
        (before, now, system.now().as_nanos())
    }

    /// Without a pause being taken for time that went wrong: whenever this thread is held up, what
    /// may have gone by grows with it.
    #[test]
    fn it_begins_a_day_ago_and_goes_as_fast_as_the_clock_of_the_system() {
        let counter = TimeStampCounterClock::new();
        let system = SystemClock::new();
        let began = moment(&system, &counter);
        assert!(began.1 >= DAY_NANOS - 1, "{began:?}");
        assert!(began.1 - DAY_NANOS <= 1_000_000_000 + (began.2 - DAY_NANOS), "{began:?}");
        loop {
            let ended = moment(&system, &counter);
            let (least, most) = (ended.0 - began.2.min(ended.0), ended.2 - began.0);
            if least < 20_000_000 {
                continue;
            }
            let went = ended.1 - began.1;
            assert!(went >= least - least / 1_000, "{went} of at least {least} ns");
            assert!(went <= most + most / 1_000, "{went} of at most {most} ns");
            break;
        }
    }
}
