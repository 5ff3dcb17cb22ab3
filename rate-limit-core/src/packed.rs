//! The state of a bucket in two words, for stores whose places all have the same size.
//!
//! What the words mean is written beside each algorithm, see
//! [`BucketRule::pack`](crate::BucketRule::pack); here is only their form. A store can tell from
//! them when a bucket is as good as new without knowing the algorithm.

use crate::time::Timestamp;

/// The state of a token bucket, a fixed or a sliding window in 16 bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PackedState {
    /// The instant from which the state is as good as a fresh one, on the axis of its policy.
    pub full_at: Timestamp,
    /// Units that were counted; what each stands for is up to the algorithm.
    pub counts: [u32; 2],
}

impl PackedState {
    /// The state as two words: the instant in nanoseconds, and the counts.
    ///
    /// # Example: nothing is lost on the way
    ///
    /// ```
    /// use rate_limit_core::{PackedState, Timestamp};
    ///
    /// let state = PackedState { full_at: Timestamp::from_nanos(7), counts: [3, u32::MAX] };
    /// assert_eq!(PackedState::from_words(state.to_words()), state);
    /// ```
    #[inline]
    pub const fn to_words(self) -> [u64; 2] {
        let [first, second] = self.counts;
        [self.full_at.as_nanos(), (second as u64) << 32 | first as u64]
    }

    /// The state from its two words.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "each half keeps its 32 bits")]
    pub const fn from_words([instant, counts]: [u64; 2]) -> Self {
        Self {
            full_at: Timestamp::from_nanos(instant),
            counts: [counts as u32, (counts >> 32) as u32],
        }
    }
}

/// Counts never exceed a limit, and limits fit 32 bits.
#[inline]
pub(crate) fn packed_count(units: u64) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::RateLimitPolicy;

    #[test]
    fn packing_loses_nothing() {
        let at = Timestamp::from_nanos;
        let policies = [
            RateLimitPolicy::per_minute(7),
            RateLimitPolicy::per_minute(u64::from(u32::MAX) / 100_000).fixed_window(),
            RateLimitPolicy::per_minute(7).aligned_window(),
            RateLimitPolicy::per_minute(7).sliding_window(),
        ];
        for policy in policies.map(|builder| builder.build().unwrap()) {
            let algorithm = policy.algorithm();
            assert!(algorithm.is_fixed_size());
            let mut state = algorithm.fresh(at(600_000_000_000));
            for (now, units) in [(600_000_000_000, 3), (630_000_000_001, 2), (665_000_000_000, 1)] {
                algorithm.bring_up_to_date(&mut state, at(now));
                algorithm.charge(&mut state, at(now), units);
                let words = algorithm.pack(&state).unwrap().to_words();
                let unpacked = algorithm.unpack(PackedState::from_words(words));
                assert_eq!(unpacked, Some(state.clone()), "{policy}");
                let full_at = PackedState::from_words(words).full_at;
                assert_eq!(full_at, algorithm.full_at(&state), "{policy}");
            }
        }
    }

    #[test]
    fn a_log_has_no_fixed_size() {
        let policy = RateLimitPolicy::per_minute(7).sliding_log().build().unwrap();
        let algorithm = policy.algorithm();
        assert!(!algorithm.is_fixed_size());
        assert_eq!(algorithm.pack(&algorithm.fresh(Timestamp::ORIGIN)), None);
        assert_eq!(algorithm.unpack(PackedState::default()), None);
    }
}
