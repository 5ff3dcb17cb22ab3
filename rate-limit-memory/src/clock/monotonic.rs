//! The operating system's monotonic clock as a number.
//!
//! The standard library hands out instants that only it can look into, and whoever wants nanoseconds
//! has them made out of seconds three times. On Linux the clock is asked without it, which is a tenth
//! of what reading it takes.

/// An instant of the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin(Reading);

impl Origin {
    /// This instant.
    pub(crate) fn now() -> Self {
        Self(read())
    }

    /// Nanoseconds since.
    #[inline]
    pub(crate) fn elapsed_nanos(self) -> u64 {
        since(self.0)
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
mod linux {
    use nix::sys::time::TimeSpec;
    use nix::time::{ClockId, clock_gettime};

    /// Nanoseconds since the machine was started.
    pub(super) type Reading = u64;

    #[inline]
    pub(super) fn read() -> Reading {
        // No Linux is without this clock, and an error costs no more than a clock that stands still.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap_or(TimeSpec::new(0, 0));
        // Neither is negative, and together they do not overflow for 584 years.
        (now.tv_sec() as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec() as u64)
    }

    #[inline]
    pub(super) fn since(origin: Reading) -> u64 {
        read().saturating_sub(origin)
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod elsewhere {
    use std::time::Instant;

    pub(super) type Reading = Instant;

    #[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
    pub(super) fn read() -> Reading {
        Instant::now()
    }

    #[inline]
    pub(super) fn since(origin: Reading) -> u64 {
        let elapsed = origin.elapsed();
        // Seconds and nanoseconds apart: `as_nanos` would compute in 128 bits.
        let nanos = elapsed.as_secs().saturating_mul(1_000_000_000);
        nanos.saturating_add(u64::from(elapsed.subsec_nanos()))
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
use elsewhere::{Reading, read, since};
#[cfg(all(target_os = "linux", not(miri)))]
use linux::{Reading, read, since};

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// However long this thread is held up in between.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "the standard library's clock is the measure")]
    fn it_goes_as_the_clock_of_the_standard_library() {
        let before = Instant::now();
        let origin = Origin::now();
        let between = Instant::now();
        while between.elapsed() < Duration::from_millis(5) {}
        let least = between.elapsed();
        let elapsed = Duration::from_nanos(origin.elapsed_nanos());
        assert!((least..=before.elapsed()).contains(&elapsed), "{elapsed:?}, at least {least:?}");
    }
}
