//! At most one line per second, however many there would be.

use std::sync::atomic::{AtomicU64, Ordering};

use rate_limit_core::Timestamp;

const SECOND: u64 = 1_000_000_000;

/// Lets one line pass per second and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    /// When the last line passed, in nanoseconds plus one; zero if none has.
    last: AtomicU64,
    suppressed: AtomicU64,
}

impl Sampler {
    /// Whether a line may be written at this instant, and if so, how many could not be since the
    /// last one.
    pub(crate) fn admit(&self, at: Timestamp) -> Option<u64> {
        // Relaxed, because nothing else is published by these numbers. Whoever wins the exchange
        // writes the line.
        let at = at.as_nanos().saturating_add(1);
        let last = self.last.load(Ordering::Relaxed);
        // A clock that was set back must not silence the log until it has caught up.
        let is_due = last == 0 || at < last || at - last >= SECOND;
        let wins =
            || self.last.compare_exchange(last, at, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_due && wins() {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn one_line_per_second_and_the_number_of_the_others() {
        let sampler = Sampler::default();
        assert_eq!(sampler.admit(at(0)), Some(0));
        assert!((1..SECOND).step_by(100_000_000).all(|nanos| sampler.admit(at(nanos)).is_none()));
        assert_eq!(sampler.admit(at(SECOND)), Some(10));
        assert_eq!(sampler.admit(at(SECOND)), None);
        assert_eq!(sampler.admit(at(5 * SECOND)), Some(1));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence() {
        let sampler = Sampler::default();
        assert_eq!(sampler.admit(at(3_600 * SECOND)), Some(0));
        assert_eq!(sampler.admit(at(SECOND)), Some(0));
        assert_eq!(sampler.admit(at(SECOND + 1)), None);
    }

    #[test]
    fn no_line_is_lost_between_threads() {
        let sampler = Sampler::default();
        let written = AtomicU64::new(0);
        let told = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for second in 0..1_000 {
                        if let Some(suppressed) = sampler.admit(at(second * SECOND)) {
                            written.fetch_add(1, Ordering::Relaxed);
                            told.fetch_add(suppressed, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let left = sampler.suppressed.load(Ordering::Relaxed);
        assert_eq!(written.into_inner() + told.into_inner() + left, 4_000);
    }
}
