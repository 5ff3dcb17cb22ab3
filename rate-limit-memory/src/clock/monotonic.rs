//! The operating system's monotonic clock as a number.
//!
//! The standard library hands out instants that only it can look into, and whoever wants nanoseconds
//! has them made out of seconds three times. On Linux the clock is asked without it, which is a tenth
//! of what reading it takes.

#[cfg(all(target_os = "linux", not(miri)))]
mod linux {
    use nix::sys::time::TimeSpec;
    use nix::time::{ClockId, clock_gettime};

    /// An instant of the monotonic clock: nanoseconds since the machine was started, or before it
    /// and then around the end of the numbers.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Origin(u64);

    impl Origin {
        /// The instant so many nanoseconds ago.
        pub(crate) fn ago(nanos: u64) -> Self {
            Self(nanos_since_start().wrapping_sub(nanos))
        }

        /// Nanoseconds since.
        #[inline]
        pub(crate) fn elapsed_nanos(self) -> u64 {
            nanos_since_start().wrapping_sub(self.0)
        }
    }

    #[inline]
    fn nanos_since_start() -> u64 {
        // No Linux is without this clock, and an error costs no more than a clock that stands still.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap_or(TimeSpec::new(0, 0));
        // Neither is negative, and together they do not overflow for 584 years.
        (now.tv_sec() as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec() as u64)
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod elsewhere {
    use std::time::Instant;

    /// An instant of the monotonic clock, and nanoseconds before it.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Origin(Instant, u64);

    impl Origin {
        /// The instant so many nanoseconds ago.
        #[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
        pub(crate) fn ago(nanos: u64) -> Self {
            Self(Instant::now(), nanos)
        }

        /// Nanoseconds since.
        #[inline]
        pub(crate) fn elapsed_nanos(self) -> u64 {
            let elapsed = self.0.elapsed();
            // Seconds and nanoseconds apart: `as_nanos` would compute in 128 bits.
            let nanos = elapsed.as_secs().saturating_mul(1_000_000_000);
            nanos.saturating_add(elapsed.subsec_nanos().into()).saturating_add(self.1)
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
pub(crate) use elsewhere::Origin;
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) use linux::Origin;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// However long this thread is held up in between.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "the standard library's clock is the measure")]
    fn it_goes_as_the_clock_of_the_standard_library() {
        let before = Instant::now();
        let origin = Origin::ago(7_000_000_000);
        let between = Instant::now();
        while between.elapsed() < Duration::from_millis(5) {}
        let least = between.elapsed();
        let elapsed = Duration::from_nanos(origin.elapsed_nanos() - 7_000_000_000);
        assert!((least..=before.elapsed()).contains(&elapsed), "{elapsed:?}, at least {least:?}");
    }
}
