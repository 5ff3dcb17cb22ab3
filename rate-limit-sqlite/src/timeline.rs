//! The time of a file, which goes on where it was left.
//!
//! The store writes down the instant of its latest change (the *mark*), in the same transaction.
//! When a file is opened and the clock stands before the mark, because it was set back while nobody
//! looked or because the machine has none that survives, the time of the file continues from the
//! mark: all instants in the file keep their distance to it, so nothing is refilled and nobody is
//! locked out. What passed while the file was closed is then not counted. This holds until the clock
//! has passed the mark by itself, at whose next opening it is followed again.
//!
//! While a file is open, its clock is believed as it is, and core brings back what a step leaves in
//! the future. The store's own clock takes no steps then.

use rate_limit_core::{Clock, Now, Timestamp};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Timeline {
    clock: Box<dyn Clock>,
    /// How far the time of the file is ahead of the clock.
    ahead_nanos: u64,
}

/// How old the mark may become while there are changes: a tenth of a second. Each renewal writes a
/// page more. An older mark errs to the safe side: less time has passed, less is refilled.
const MARK_AGE_NANOS: u64 = 100_000_000;

impl Timeline {
    /// The time of a file whose latest mark is `mark`.
    pub(crate) fn continued_from(mark: Timestamp, clock: Box<dyn Clock>) -> Self {
        let ahead_nanos = mark.nanos_since(clock.now());
        Self { clock, ahead_nanos }
    }

    /// The present instant on both axes.
    pub(crate) fn now(&self) -> Now {
        let monotonic = self.clock.now().plus_nanos(self.ahead_nanos);
        Now { monotonic, utc: self.clock.utc_now() }
    }

    /// Whether a mark has to be renewed together with a change at `now`. Also if the clock was set
    /// back: the mark is the latest instant, not the highest, or the next opening would leap
    /// forward and refill.
    pub(crate) const fn is_mark_due(mark: Timestamp, now: Now) -> bool {
        let now = now.monotonic;
        now.nanos_since(mark) >= MARK_AGE_NANOS || mark.nanos_since(now) > 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rate_limit_core::ManualClock;

    use super::*;

    #[test]
    fn time_goes_on_from_the_mark_where_the_clock_stands_before_it() {
        let clock = ManualClock::new();
        let mark = clock.now().saturating_add(Duration::from_secs(3_600));
        let timeline = Timeline::continued_from(mark, Box::new(clock.clone()));
        assert_eq!(timeline.now().monotonic, mark);
        clock.advance(Duration::from_secs(5));
        assert_eq!(timeline.now().monotonic.nanos_since(mark), 5_000_000_000);
    }

    #[test]
    fn a_clock_that_has_passed_the_mark_is_followed() {
        let clock = ManualClock::new();
        let mark = clock.now();
        clock.advance(Duration::from_secs(3_600));
        let timeline = Timeline::continued_from(mark, Box::new(clock.clone()));
        assert_eq!(timeline.now().monotonic, clock.now());
    }

    #[test]
    fn a_mark_is_renewed_after_a_while_and_after_a_step_back() {
        let mark = Timestamp::from_nanos(10 * MARK_AGE_NANOS);
        let due = |monotonic: Timestamp| Timeline::is_mark_due(mark, Now { monotonic, utc: mark });
        assert!(!due(mark) && !due(mark.plus_nanos(MARK_AGE_NANOS - 1)));
        assert!(due(mark.plus_nanos(MARK_AGE_NANOS)) && due(mark.minus_nanos(1)));
    }
}
