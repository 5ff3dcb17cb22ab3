//! The penalty ladder: repeated violations lead to a ban that grows and decays.
//!
//! A denial by a policy with a ladder is a *strike*. When the given number of strikes falls into
//! one fixed window (which begins with the first of them) the client is banned for
//! `first · factor^level`, at most `max`, and the level rises by one. It falls by one for every
//! `decay` that passes after the ban's end. During a ban nothing is written: the end of a ban is a
//! promise.
//!
//! A store may forget a client's place on the ladder once it says nothing any more under the version
//! of the policy that wrote it; a ladder that is made to decay more slowly later does not bring
//! forgiven levels back.

use std::time::Duration;

use crate::time::{Timestamp, saturating_nanos};

/// When repeated violations of a policy lead to a ban, and for how long.
///
/// # Example: five failures within a minute, then one minute, two, four … up to a day
///
/// ```
/// use std::time::Duration;
/// use rate_limit_core::{PenaltyLadder, RateLimitPolicy};
///
/// let ladder = PenaltyLadder::after(5, Duration::from_secs(60))
///     .first_ban(Duration::from_secs(60))
///     .growing_by(2)
///     .up_to(Duration::from_secs(24 * 3_600))
///     .decaying_every(Duration::from_secs(3_600));
/// let login = RateLimitPolicy::per_minute(5).named("login").penalty(ladder).build()?;
/// assert!(login.penalty().is_some());
/// # Ok::<(), rate_limit_core::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PenaltyLadder {
    strikes: u32,
    within_nanos: u64,
    first_nanos: u64,
    factor: u32,
    max_nanos: u64,
    decay_nanos: u64,
}

/// What a store keeps about one client's violations of one policy.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LadderState {
    /// Strikes in the present window.
    pub strikes: u32,
    /// How many steps up the ladder the client stood when the last ban ended.
    pub level: u32,
    /// When the present window of strikes began.
    pub since: Timestamp,
    /// When the last ban ends or ended.
    pub banned_until: Timestamp,
}

const MINUTE: u64 = 60 * 1_000_000_000;

impl PenaltyLadder {
    /// A ban after `strikes` violations within `within`, counted from the first of them.
    ///
    /// Unless told otherwise the first ban lasts one minute, each further one twice as long as the
    /// one before, at most a day, and one level is forgiven every hour. The ranges (1 or more
    /// strikes, durations from 1 ms to 366 days) are checked when the policy is built.
    pub fn after(strikes: u32, within: Duration) -> Self {
        Self {
            strikes,
            within_nanos: saturating_nanos(within),
            first_nanos: MINUTE,
            factor: 2,
            max_nanos: 24 * 60 * MINUTE,
            decay_nanos: 60 * MINUTE,
        }
    }

    /// How long the first ban lasts.
    #[must_use]
    pub fn first_ban(mut self, first: Duration) -> Self {
        self.first_nanos = saturating_nanos(first);
        self
    }

    /// How many times longer each further ban lasts; 1 keeps them all alike.
    #[must_use]
    pub fn growing_by(mut self, factor: u32) -> Self {
        self.factor = factor;
        self
    }

    /// The longest ban.
    #[must_use]
    pub fn up_to(mut self, max: Duration) -> Self {
        self.max_nanos = saturating_nanos(max);
        self
    }

    /// How long good conduct takes to earn back one level.
    #[must_use]
    pub fn decaying_every(mut self, decay: Duration) -> Self {
        self.decay_nanos = saturating_nanos(decay);
        self
    }

    /// Strikes that lead to a ban.
    pub const fn strikes(&self) -> u32 {
        self.strikes
    }

    /// The window within which strikes add up.
    pub const fn within(&self) -> Duration {
        Duration::from_nanos(self.within_nanos)
    }

    /// How long the first ban lasts.
    pub const fn first(&self) -> Duration {
        Duration::from_nanos(self.first_nanos)
    }

    /// How many times longer each further ban lasts.
    pub const fn factor(&self) -> u32 {
        self.factor
    }

    /// The longest ban.
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max_nanos)
    }

    /// How long one level takes to be forgiven.
    pub const fn decay(&self) -> Duration {
        Duration::from_nanos(self.decay_nanos)
    }

    /// How long a ban lasts at `level`, 0 being the first: `first · factor^level`, at most the longest.
    ///
    /// Stores that decide elsewhere ask this once for each level instead of multiplying themselves.
    pub fn ban(&self, level: u32) -> Duration {
        Duration::from_nanos(self.ban_nanos(level))
    }

    /// Brings a state from the future back to what is possible; `true` if it had to. Same reasons
    /// as for buckets, see [`BucketRule::bring_up_to_date`](crate::BucketRule::bring_up_to_date).
    pub(crate) fn heal(&self, state: &mut LadderState, now: Timestamp) -> bool {
        let sound = LadderState {
            since: state.since.min(now),
            banned_until: state.banned_until.min(now.plus_nanos(self.max_nanos)),
            ..*state
        };
        std::mem::replace(state, sound) != sound
    }

    /// Nanoseconds until the present ban ends; zero if there is none.
    pub(crate) fn banned_nanos(state: &LadderState, now: Timestamp) -> u64 {
        state.banned_until.nanos_since(now)
    }

    /// Writes one strike. Returns the length of the ban it leads to, if it does.
    pub(crate) fn strike(&self, state: &mut LadderState, now: Timestamp) -> Option<u64> {
        if state.strikes == 0 || now.nanos_since(state.since) >= self.within_nanos {
            state.strikes = 0;
            state.since = now;
        }
        // What a store has read may be any number.
        state.strikes = state.strikes.saturating_add(1);
        if state.strikes < self.strikes {
            return None;
        }
        let level = self.level(state, now);
        let ban_nanos = self.ban_nanos(level);
        *state = LadderState {
            strikes: 0,
            level: level.saturating_add(1),
            since: now,
            banned_until: now.plus_nanos(ban_nanos),
        };
        Some(ban_nanos)
    }

    /// The level that is left at `now`.
    pub(crate) fn level(&self, state: &LadderState, now: Timestamp) -> u32 {
        let forgiven = now.nanos_since(state.banned_until) / self.decay_nanos.max(1);
        u32::try_from(u64::from(state.level).saturating_sub(forgiven)).unwrap_or(u32::MAX)
    }

    /// The instant from which the state says nothing any more and may be forgotten.
    pub fn forgotten_at(&self, state: &LadderState) -> Timestamp {
        let strikes_until = match state.strikes {
            0 => Timestamp::ORIGIN,
            _ => state.since.plus_nanos(self.within_nanos),
        };
        let levels = self.decay_nanos.saturating_mul(u64::from(state.level));
        strikes_until.max(state.banned_until.plus_nanos(levels))
    }

    fn ban_nanos(&self, level: u32) -> u64 {
        // A power takes as many steps as the level has bits; a ladder may be asked before its policy
        // has checked it, and then nothing bounds how long a ban takes to reach the longest.
        let growth = u64::from(self.factor.max(1)).saturating_pow(level);
        self.first_nanos.saturating_mul(growth).min(self.max_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn ladder() -> PenaltyLadder {
        PenaltyLadder::after(2, Duration::from_secs(10))
            .first_ban(Duration::from_secs(60))
            .growing_by(3)
            .up_to(Duration::from_secs(600))
            .decaying_every(Duration::from_secs(100))
    }

    #[test]
    fn bans_grow_by_the_factor_up_to_the_maximum() {
        let lengths: Vec<u64> = (0..5).map(|level| ladder().ban_nanos(level) / SECOND).collect();
        assert_eq!(lengths, [60, 180, 540, 600, 600]);
        assert_eq!(ladder().ban_nanos(u32::MAX), 600 * SECOND, "no level overflows");
    }

    #[test]
    fn strikes_add_up_only_within_their_window() {
        let mut state = LadderState::default();
        let at = |seconds: u64| Timestamp::from_nanos(seconds * SECOND);
        assert_eq!(ladder().strike(&mut state, at(100)), None);
        assert_eq!(ladder().strike(&mut state, at(110)), None, "the first window has ended");
        assert_eq!(ladder().strike(&mut state, at(119)), Some(60 * SECOND));
        assert_eq!(PenaltyLadder::banned_nanos(&state, at(119)), 60 * SECOND);
    }

    /// Ladders are checked with their policy, and can be asked before: no level takes four billion
    /// rounds to find out.
    #[test]
    fn a_ban_that_does_not_grow_is_found_at_once() {
        // The compiler is not to find out that there is nothing to do.
        let (empty, level) = std::hint::black_box((ladder().first_ban(Duration::ZERO), u32::MAX));
        for level in (level - 9)..=level {
            assert_eq!(empty.ban(level), Duration::ZERO);
        }
        assert_eq!(ladder().growing_by(1).ban(level), Duration::from_secs(60));
        assert_eq!(ladder().growing_by(0).ban(level), Duration::from_secs(60));
    }

    /// Stores pass on what they have read.
    #[test]
    fn counts_that_cannot_be_lead_to_a_ban() {
        let now = Timestamp::from_nanos(1_000 * SECOND);
        let (strikes, level) = (u32::MAX, u32::MAX);
        let mut state = LadderState { strikes, level, since: now, banned_until: now };
        ladder().heal(&mut state, now);
        assert_eq!(ladder().strike(&mut state, now), Some(600 * SECOND));
        assert_eq!((state.strikes, state.level), (0, u32::MAX));
    }

    #[test]
    fn a_level_is_forgiven_for_every_decay_after_the_ban() {
        let state = LadderState {
            level: 2,
            banned_until: Timestamp::from_nanos(1_000 * SECOND),
            ..LadderState::default()
        };
        let level_at =
            |seconds: u64| ladder().level(&state, Timestamp::from_nanos(seconds * SECOND));
        assert_eq!(
            [level_at(500), level_at(1_099), level_at(1_100), level_at(1_200)],
            [2, 2, 1, 0]
        );
        assert_eq!(ladder().forgotten_at(&state).as_nanos(), 1_200 * SECOND);
    }
}
