//! The state of a bucket in two words, for stores whose places all have the same size.
//!
//! What the words mean is written beside each algorithm, see
//! [`BucketRule::pack`](crate::BucketRule::pack); here is only their form. A store can tell from
//! them, without knowing the algorithm, when a bucket is as good as new, and how much of what it may
//! hold is used: what a store without room has to know to let the least debt go.
//!
//! The second word:
//!
//! | bits 63 to 56 | the others |
//! | --- | --- |
//! | 0 | the time in which an empty bucket is full again, in 128 ns |
//! | 1 to 127 | two counts of 28 bits; the share that is used, in 127ths |
//! | 128 and more | two counts of 31 and 32 bits, one of which has 2^28 or more, and no share |

use crate::time::Timestamp;

/// The state of a token bucket, a fixed or a sliding window in 16 bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PackedState {
    /// The instant from which the state is as good as a fresh one, on the axis of its policy.
    pub full_at: Timestamp,
    /// What else the algorithm wants to know.
    pub(crate) rest: u64,
}

const COUNT_BITS: u32 = 28;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const SHARE_SHIFT: u32 = 56;
const LARGE: u64 = 1 << 63;
const TIME_SHIFT: u32 = 7;

impl PackedState {
    /// The greatest [`share_used`](Self::share_used).
    pub const WHOLE: u8 = 127;

    /// Of a bucket that refills, and is full `time_to_full_nanos` after it was empty.
    #[inline]
    pub(crate) const fn refilling(full_at: Timestamp, time_to_full_nanos: u64) -> Self {
        // Less than 2^63 nanoseconds, and so less than 2^56 of these.
        Self { full_at, rest: (time_to_full_nanos & !LARGE) >> TIME_SHIFT }
    }

    /// Of windows in which these units were counted, of `limit`.
    ///
    /// Counts are less than 2^32, as limits are. From 2^28 on the second one is rounded up to an
    /// even number, which is less than one part in a hundred million too many.
    #[inline]
    pub(crate) fn counting(full_at: Timestamp, [first, second]: [u64; 2], limit: u64) -> Self {
        let small = first <= COUNT_MASK && second <= COUNT_MASK;
        let rest = if small {
            let used = first.saturating_add(second).min(limit);
            let share = (used * u64::from(Self::WHOLE)).div_ceil(limit.max(1)).max(1);
            share << SHARE_SHIFT | second << COUNT_BITS | first
        } else {
            let half = second.div_ceil(2).min(LARGE_HALF);
            LARGE | half << 32 | first.min(u64::from(u32::MAX))
        };
        Self { full_at, rest }
    }

    /// The units that were counted in windows.
    #[inline]
    pub(crate) const fn counts(self) -> [u64; 2] {
        if self.rest & LARGE == 0 {
            [self.rest & COUNT_MASK, self.rest >> COUNT_BITS & COUNT_MASK]
        } else {
            [self.rest & u32::MAX as u64, (self.rest >> 32 & LARGE_HALF) * 2]
        }
    }

    /// How much of what the bucket may hold is used at `now`, from 0, as good as new, to
    /// [`WHOLE`](Self::WHOLE), nothing left; rounded up. Of windows as of the last charge.
    ///
    /// # Example: what a client has used, and not how long that takes to come back
    ///
    /// ```
    /// use rate_limit_core::{PackedState, RateLimitPolicy, Timestamp};
    ///
    /// let now = Timestamp::ORIGIN;
    /// let share = |policy: RateLimitPolicy, units| {
    ///     let algorithm = policy.algorithm();
    ///     let mut state = algorithm.fresh(now);
    ///     algorithm.charge(&mut state, now, units);
    ///     algorithm.pack(&state).map(|packed| packed.share_used(now))
    /// };
    /// let (minute, day) = (RateLimitPolicy::per_minute(10), RateLimitPolicy::per_day(1_000));
    /// assert_eq!(share(minute.build()?, 10), Some(PackedState::WHOLE));
    /// assert_eq!(share(day.build()?, 1), Some(1), "although that comes back later");
    /// # Ok::<(), rate_limit_core::PolicyError>(())
    /// ```
    #[inline]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a hundred and some needs no more; what is too large becomes the largest"
    )]
    pub fn share_used(self, now: Timestamp) -> u8 {
        let owed_nanos = self.full_at.nanos_since(now);
        match self.rest >> SHARE_SHIFT {
            _ if owed_nanos == 0 => 0,
            // Not in integers, because a store without room asks this of ten buckets at a time.
            0 => {
                let whole_nanos = (self.rest << TIME_SHIFT) as f64;
                (owed_nanos as f64 * f64::from(Self::WHOLE) / whole_nanos).ceil() as u8
            }
            share => share as u8,
        }
        .min(Self::WHOLE)
    }

    /// The state as two words, the first of which is the instant in nanoseconds.
    ///
    /// # Example: nothing is lost on the way
    ///
    /// ```
    /// use rate_limit_core::{PackedState, Timestamp};
    ///
    /// let state = PackedState::from_words([7, 3]);
    /// assert_eq!(state.full_at, Timestamp::from_nanos(7));
    /// assert_eq!(state.to_words(), [7, 3]);
    /// ```
    #[inline]
    pub const fn to_words(self) -> [u64; 2] {
        [self.full_at.as_nanos(), self.rest]
    }

    /// The state from its two words.
    #[inline]
    pub const fn from_words([instant, rest]: [u64; 2]) -> Self {
        Self { full_at: Timestamp::from_nanos(instant), rest }
    }
}

/// Half of the greatest count that is even and fits 32 bits.
const LARGE_HALF: u64 = (1 << 31) - 1;

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
    fn many_units_lose_at_most_one_of_the_second_count() {
        let at = Timestamp::from_nanos(1);
        let limit = u64::from(u32::MAX);
        for first in [0, 1, COUNT_MASK, COUNT_MASK + 1, limit] {
            for second in [0, 1, COUNT_MASK, COUNT_MASK + 1, COUNT_MASK + 2, limit - 1] {
                let packed = PackedState::counting(at, [first, second], limit);
                let [one, other] = packed.counts();
                let is_small = first.max(second) <= COUNT_MASK;
                let rounded = if is_small { second } else { second.next_multiple_of(2) };
                assert_eq!([one, other], [first, rounded]);
                let share = if is_small { packed.share_used(Timestamp::ORIGIN) } else { 127 };
                assert!((1..=127).contains(&share));
            }
        }
    }

    #[test]
    fn shares_are_of_the_capacity_and_a_token_bucket_regains_them() {
        let at = |seconds: u64| Timestamp::from_nanos(seconds * 1_000_000_000);
        let build = |builder: crate::RateLimitPolicyBuilder| builder.build().unwrap();
        let share = |policy: &crate::RateLimitPolicy, units, now| {
            let mut state = policy.algorithm().fresh(at(0));
            policy.algorithm().charge(&mut state, at(0), units);
            policy.algorithm().pack(&state).unwrap().share_used(at(now))
        };
        let bucket = build(RateLimitPolicy::per_minute(10));
        assert_eq!([0, 6, 30, 59, 60].map(|now| share(&bucket, 10, now)), [127, 115, 64, 3, 0]);
        for policy in [
            build(RateLimitPolicy::per_minute(10).fixed_window()),
            build(RateLimitPolicy::per_minute(10).aligned_window()),
            build(RateLimitPolicy::per_minute(10).sliding_window()),
        ] {
            assert_eq!([10, 9, 1].map(|units| share(&policy, units, 59)), [127, 115, 13]);
            assert_eq!(share(&policy, 10, 120), 0, "{policy}");
        }
        // The longest and the shortest time to full.
        let long = build(RateLimitPolicy::per(1, std::time::Duration::from_secs(366 * 86_400)));
        assert_eq!([0, 366 * 43_200].map(|now| share(&long, 1, now)), [127, 64]);
        let short = build(RateLimitPolicy::per_second(1_000_000).burst(1));
        assert_eq!(share(&short, 1, 0), 127);
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
