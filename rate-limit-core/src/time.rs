//! Instants, and the port through which time enters.
//!
//! Nothing in this crate reads a clock. The clock lives where the state lives: a store owns one and
//! passes the instant into the pure functions of the domain.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// An instant in whole nanoseconds since the origin of the clock that produced it.
///
/// Two timestamps may only be compared if they come from the same axis of the same clock. The range
/// is 584 years; arithmetic saturates, so that no clock reading can make a decision panic.
///
/// # Example: arithmetic saturates
///
/// ```
/// use std::time::Duration;
/// use rate_limit_core::Timestamp;
///
/// let start = Timestamp::from_nanos(5);
/// let later = start.saturating_add(Duration::from_nanos(10));
/// assert_eq!(later.as_nanos(), 15);
/// assert_eq!(start.nanos_since(later), 0, "an instant in the future is zero away");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin of a clock.
    pub const ORIGIN: Self = Self(0);

    /// The last representable instant, 584 years after the origin.
    pub const LAST: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant moved forward by `duration`, or the last representable one.
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.plus_nanos(saturating_nanos(duration))
    }

    /// This instant moved forward by `nanos` nanoseconds, or the last representable one.
    pub const fn plus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// This instant moved back by `nanos` nanoseconds, but not before the origin.
    pub const fn minus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }

    /// Nanoseconds from `earlier` to this instant; zero if `earlier` is not earlier.
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The length of a [`Duration`] in nanoseconds, or the largest number if it does not fit.
pub(crate) fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Where a store gets its time from.
///
/// # Contract
///
/// - [`now`](Clock::now) is monotonic as far as the implementation can promise. A store must stay
///   correct if it is not: an instant that steps back refills nothing and locks nobody out for
///   longer than a full refill.
/// - [`utc_now`](Clock::utc_now) is the time of day since the Unix epoch. Only windows aligned to
///   UTC ask for it, and it may be stepped by an administrator at any moment.
/// - Both are cheap and never block.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The monotonic instant.
    fn now(&self) -> Timestamp;

    /// Nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
    fn utc_now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn utc_now(&self) -> Timestamp {
        (**self).utc_now()
    }
}

/// Which of the two instants of a [`Clock`] an algorithm counts on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TimeAxis {
    /// [`Clock::now`].
    Monotonic,
    /// [`Clock::utc_now`].
    Utc,
}

/// Both instants at which one decision is taken.
///
/// A store whose only clock is a wall clock puts the same instant into both fields.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// The instant of [`Clock::now`].
    pub monotonic: Timestamp,
    /// The instant of [`Clock::utc_now`].
    pub utc: Timestamp,
}

impl Now {
    /// The instant on `axis`.
    pub const fn on(self, axis: TimeAxis) -> Timestamp {
        match axis {
            TimeAxis::Monotonic => self.monotonic,
            TimeAxis::Utc => self.utc,
        }
    }
}
