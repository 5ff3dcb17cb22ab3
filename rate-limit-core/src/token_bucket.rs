//! The token bucket, kept in the form of the generic cell rate algorithm (GCRA).
//!
//! A bucket holds `burst` tokens and gains one every `interval` nanoseconds. Instead of a level and
//! the time of its last update, the state is the single instant at which the bucket is full again
//! (the *theoretical arrival time* of ITU-T I.371). Taking n tokens moves it n intervals into the
//! future; time passing needs no update at all. The instant only moves forward, so a stale clock
//! can never refill the bucket.
//!
//! # Changed limits
//!
//! The instant means the same under every burst and rate: what is owed is owed in time. That is the
//! used share as long as the time to full, `burst · interval`, stays the same: after 60 of 100 per
//! minute, 80 of 200 per minute are left. Otherwise the share changes: 10 of 10 per minute owe a
//! minute, which is 1 of 10 per hour, and 1 of 10 per hour owes six minutes, which is full debt under
//! 10 per minute, where no bucket owes more than one.
//!
//! # Rounding
//!
//! The interval is `window / limit` rounded **up** to whole nanoseconds, once, when the policy is
//! built. From there on everything is exact: a burst of 7 at 7 per minute admits seven requests at
//! one instant, the eighth fits exactly one interval later, and no sequence of requests, large or
//! small, gets more than `burst + rate · t`. The true rate is below the asked one by less than
//! 1 ppm up to 1,000 per second, and by less than 0.1 % up to 1,000,000 per second.

use crate::algorithm::{Algorithm, BucketRule, Healed, MAX_UNITS, Wait};
use crate::outcome::{Outcome, PolicyVerdict};
use crate::packed::PackedState;
use crate::policy::{Asked, MAX_TIME_TO_FULL_NANOS, PolicyError, RateLimitPolicyBuilder};
use crate::time::Timestamp;

/// A burst of tokens, refilled one at a time at a steady rate.
///
/// Built by [`RateLimitPolicy`](crate::RateLimitPolicy). `burst · interval` is at most a hundred
/// years, and in a [share](crate::RateLimitPolicy::share_of), whose burst is rounded up, at most two
/// hundred, so none of the products below can overflow.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TokenBucket {
    burst: u64,
    interval_nanos: u64,
    /// `burst · interval`, which each decision needs.
    time_to_full_nanos: u64,
    /// 2^64 intervals per nanosecond, rounded down: multiplying by it takes a fifth of the time of
    /// dividing by the interval.
    intervals_per_nano: u64,
}

/// The state of a [`TokenBucket`]: one instant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TokenBucketState {
    /// When the bucket is full again. At or before now: it is full.
    pub full_at: Timestamp,
}

impl TokenBucket {
    /// Neither may be zero, and their product at most twice [`MAX_TIME_TO_FULL_NANOS`].
    const fn new(burst: u64, interval_nanos: u64) -> Self {
        Self {
            burst,
            interval_nanos,
            time_to_full_nanos: burst.saturating_mul(interval_nanos),
            // For an interval of one this is one too little, which is no more than rounding is.
            intervals_per_nano: u64::MAX / interval_nanos,
        }
    }

    /// The default algorithm of a policy.
    pub(crate) fn from_asked(asked: &Asked<'_>) -> Result<Algorithm, PolicyError> {
        let burst = asked.burst.unwrap_or(asked.limit);
        if !(1..=MAX_UNITS).contains(&burst) {
            return Err(PolicyError::Burst { policy: asked.policy.to_owned(), burst });
        }
        let interval_nanos = asked.window_nanos.div_ceil(asked.limit);
        if burst.checked_mul(interval_nanos).is_none_or(|nanos| nanos > MAX_TIME_TO_FULL_NANOS) {
            return Err(PolicyError::TimeToFull {
                policy: asked.policy.to_owned(),
                burst,
                limit: asked.limit,
                window: asked.window(),
            });
        }
        Ok(Algorithm::TokenBucket(Self::new(burst, interval_nanos)))
    }

    /// Tokens the bucket can hold.
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// Nanoseconds until one token is back.
    pub const fn interval_nanos(&self) -> u64 {
        self.interval_nanos
    }

    /// Nanoseconds until an empty bucket is full.
    pub const fn time_to_full_nanos(&self) -> u64 {
        self.time_to_full_nanos
    }

    /// Whole intervals in `nanos`, which is no more than the time to full and thus less than 2^63.
    ///
    /// The product is too small by at most `nanos / 2^64`, which is less than a half, before it is
    /// rounded down; so it is the quotient or one less.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the upper half of a product has 64 bits")]
    const fn intervals(&self, nanos: u64) -> u64 {
        let about = ((nanos as u128 * self.intervals_per_nano as u128) >> 64) as u64;
        let rest = nanos - about * self.interval_nanos;
        if rest < self.interval_nanos { about } else { about + 1 }
    }

    /// Nanoseconds of refill that the bucket lacks.
    const fn owed_nanos(state: &TokenBucketState, now: Timestamp) -> u64 {
        state.full_at.nanos_since(now)
    }
}

impl BucketRule for TokenBucket {
    type State = TokenBucketState;

    #[inline]
    fn fresh(&self, now: Timestamp) -> TokenBucketState {
        TokenBucketState { full_at: now }
    }

    #[inline]
    fn bring_up_to_date(&self, state: &mut TokenBucketState, now: Timestamp) -> Healed {
        let latest = now.plus_nanos(self.time_to_full_nanos());
        if state.full_at > latest {
            state.full_at = latest;
            return Healed::Yes;
        }
        Healed::No
    }

    #[inline]
    fn wait(&self, state: &TokenBucketState, now: Timestamp, units: u64) -> Wait {
        if units > self.burst {
            return Wait::Never;
        }
        let owed_then = Self::owed_nanos(state, now) + units * self.interval_nanos;
        Wait::nanos(owed_then.saturating_sub(self.time_to_full_nanos()))
    }

    #[inline]
    fn charge(&self, state: &mut TokenBucketState, now: Timestamp, units: u64) -> Timestamp {
        let from = state.full_at.max(now);
        state.full_at = from.plus_nanos(units.saturating_mul(self.interval_nanos));
        now
    }

    /// In terms of what is owed, which the steps would each compute for themselves.
    #[allow(clippy::inline_always, reason = "measured: what it answers is not copied")]
    #[inline(always)]
    fn test_and_take(
        &self,
        state: &mut TokenBucketState,
        now: Timestamp,
        units: u64,
        taken: u64,
    ) -> (Healed, Outcome) {
        let mut owed_nanos = Self::owed_nanos(state, now);
        let mut healed = Healed::No;
        if owed_nanos > self.time_to_full_nanos {
            healed = self.bring_up_to_date(state, now);
            owed_nanos = self.time_to_full_nanos;
        }
        let refilled_nanos = self.time_to_full_nanos - owed_nanos;
        // No product overflows, because what is larger than the burst is not multiplied.
        let price_nanos = if units <= self.burst { units * self.interval_nanos } else { u64::MAX };
        if price_nanos > refilled_nanos {
            let wait = if units <= self.burst {
                Wait::After(price_nanos - refilled_nanos)
            } else {
                Wait::Never
            };
            // Whoever asks for one unit and is denied finds none, which takes no division to see.
            let is_empty = refilled_nanos < self.interval_nanos;
            let outcome = Outcome {
                verdict: PolicyVerdict::Deny,
                remaining: if is_empty { 0 } else { self.intervals(refilled_nanos) },
                reset_nanos: owed_nanos,
                wait,
                charged: None,
            };
            return (healed, outcome);
        }
        if taken == 0 {
            let (remaining, reset_nanos) = (self.intervals(refilled_nanos), owed_nanos);
            let verdict = PolicyVerdict::Admit;
            let outcome =
                Outcome { verdict, remaining, reset_nanos, wait: Wait::Now, charged: None };
            return (healed, outcome);
        }
        // All of them are taken, so at their price.
        let reset_nanos = owed_nanos + price_nanos;
        state.full_at = now.plus_nanos(reset_nanos);
        let outcome = Outcome {
            verdict: PolicyVerdict::Admit,
            remaining: self.intervals(refilled_nanos - price_nanos),
            reset_nanos,
            wait: Wait::Now,
            charged: Some(now),
        };
        (healed, outcome)
    }

    /// Time pays for a charge from the moment it was made, whatever else the bucket owed then; a
    /// refund gives back the rest. This is the most that can be given back knowing the charge
    /// alone: which part of the debt time paid *first* would need a history of the bucket, and
    /// guessing it wrong would admit too much.
    fn refund(
        &self,
        state: &mut TokenBucketState,
        now: Timestamp,
        mark: Timestamp,
        charged: u64,
        units: u64,
    ) -> u64 {
        let unpaid_nanos =
            charged.saturating_mul(self.interval_nanos).saturating_sub(now.nanos_since(mark));
        let returned_nanos = units
            .saturating_mul(self.interval_nanos)
            .min(unpaid_nanos)
            .min(Self::owed_nanos(state, now));
        state.full_at = state.full_at.minus_nanos(returned_nanos);
        returned_nanos.div_ceil(self.interval_nanos)
    }

    fn add(&self, state: &mut TokenBucketState, now: Timestamp, units: u64) -> u64 {
        let room = self.remaining(state, now);
        if units <= room {
            self.charge(state, now, units);
            return 0;
        }
        state.full_at = now.plus_nanos(self.time_to_full_nanos());
        units - room
    }

    #[inline]
    fn remaining(&self, state: &TokenBucketState, now: Timestamp) -> u64 {
        let refilled = self.time_to_full_nanos().saturating_sub(Self::owed_nanos(state, now));
        self.intervals(refilled)
    }

    #[inline]
    fn reset_nanos(&self, state: &TokenBucketState, now: Timestamp) -> u64 {
        Self::owed_nanos(state, now)
    }

    fn full_at(&self, state: &TokenBucketState) -> Timestamp {
        state.full_at
    }

    fn capacity(&self) -> u64 {
        self.burst
    }

    fn share_of(&self, nodes: u64) -> Self {
        let interval_nanos = self.interval_nanos.saturating_mul(nodes).min(MAX_TIME_TO_FULL_NANOS);
        Self::new(self.burst.div_ceil(nodes), interval_nanos)
    }

    fn describe(&self) -> String {
        format!("burst {}", self.burst)
    }

    /// The instant of fullness means the same under every burst and rate, so all versions of a
    /// policy share their bucket.
    fn format(&self) -> String {
        "tb".to_owned()
    }

    const IS_FIXED_SIZE: bool = true;

    #[inline]
    fn pack(&self, state: &TokenBucketState) -> Option<PackedState> {
        Some(PackedState::refilling(state.full_at, self.time_to_full_nanos))
    }

    #[inline]
    fn unpack(&self, packed: PackedState) -> Option<TokenBucketState> {
        Some(TokenBucketState { full_at: packed.full_at })
    }
}

impl RateLimitPolicyBuilder {
    /// How many units may be taken at once after a pause, 1 to 4,294,967,295. Only a token bucket
    /// has a burst; without one it is the limit.
    ///
    /// # Example: a steady rate with little slack
    ///
    /// ```
    /// use rate_limit_core::RateLimitPolicy;
    ///
    /// let steady = RateLimitPolicy::per_minute(600).burst(10).build()?;
    /// assert_eq!(steady.capacity(), 10);
    /// assert_eq!(steady.capacity_window().as_secs(), 1, "ten tokens refill in one second");
    /// # Ok::<(), rate_limit_core::PolicyError>(())
    /// ```
    pub const fn burst(mut self, tokens: u64) -> Self {
        self.burst = Some(tokens);
        self
    }

    /// Counts in a [`TokenBucket`]. The default.
    pub fn token_bucket(self) -> Self {
        self.counting(TokenBucket::from_asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::step_by_step;

    /// All that can be asked of a bucket, around every place at which the answer changes. Up to the
    /// last instant from which a bucket can still become full before time ends: from there on, 484
    /// years after a clock's origin, the steps think it full too early.
    #[test]
    fn the_short_way_comes_to_what_the_steps_come_to() {
        let year_nanos = 365 * 86_400 * 1_000_000_000;
        let buckets = [(1, 1), (1, year_nanos), (7, 3), (10, 1_000_000_000), (MAX_UNITS, 1_000)];
        let mut denied = 0;
        for (burst, interval_nanos) in buckets {
            let bucket = TokenBucket::new(burst, interval_nanos);
            let full_nanos = bucket.time_to_full_nanos();
            for now in [0, 1, full_nanos, 100 * year_nanos, u64::MAX - full_nanos] {
                let near = |nanos: u64| [nanos.saturating_sub(1), nanos, nanos.saturating_add(1)];
                let debts = [0, interval_nanos, full_nanos - interval_nanos, full_nanos, u64::MAX];
                let full_ats = debts.map(|debt| near(now.saturating_add(debt))).into_iter();
                for full_at in full_ats.flatten().chain([now / 2]).map(Timestamp::from_nanos) {
                    for units in [0, 1, 2, burst - 1, burst, burst + 1, u64::MAX] {
                        for taken in [units, 0] {
                            let asked = (Timestamp::from_nanos(now), units, taken);
                            let (now, ..) = asked;
                            let (mut short, mut steps) =
                                (TokenBucketState { full_at }, TokenBucketState { full_at });
                            let answer = bucket.test_and_take(&mut short, now, units, taken);
                            let expected = step_by_step(&bucket, &mut steps, now, (units, taken));
                            assert_eq!(answer, expected, "{bucket:?}, {full_at:?}, {asked:?}");
                            assert_eq!(short, steps, "{bucket:?}, {full_at:?}, {asked:?}");
                            denied += u32::from(answer.1.is_violated());
                        }
                    }
                }
            }
        }
        assert!(denied > 1_000, "{denied} denials are too few to say much");
    }

    /// Around multiples of every interval, where rounding goes wrong if it does.
    #[test]
    fn whole_intervals_are_counted_exactly() {
        let small = 1..=1_000;
        let large = (0..62).flat_map(|bits| [1 << bits, (1 << bits) + 1, (3 << bits) - 1]);
        for interval in small.chain(large) {
            if interval > MAX_TIME_TO_FULL_NANOS {
                continue;
            }
            let most = MAX_TIME_TO_FULL_NANOS / interval;
            let bucket = TokenBucket::new(most.min(MAX_UNITS), interval);
            let some = [0, 1, 2, 3, 10, 255, most / 3, most / 2, most - 1, most];
            for multiple in some.into_iter().filter(|multiple| *multiple <= most) {
                for nanos in [multiple * interval, multiple * interval + (interval - 1)] {
                    assert_eq!(bucket.intervals(nanos), nanos / interval, "{nanos} / {interval}");
                    assert_eq!(
                        bucket.intervals(nanos.saturating_sub(1)),
                        nanos.saturating_sub(1) / interval
                    );
                }
            }
        }
    }
}
