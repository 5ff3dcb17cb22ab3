//! The sliding log: exact, at the price of memory.
//!
//! Every charge is kept with its instant until it is one window old, so there are never more than
//! `limit` units in *any* interval of one window's length. Use it for billing-like limits and small
//! numbers: a bucket can hold up to `limit` entries of 16 bytes, which is why the limit of a log is
//! at most [`SlidingLog::MAX_LIMIT`].

use std::collections::VecDeque;

use crate::algorithm::{Algorithm, BucketRule, Healed, Wait};
use crate::policy::{Asked, PolicyError, RateLimitPolicyBuilder};
use crate::time::Timestamp;

/// Never more than `limit` units in any interval of one window's length.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SlidingLog {
    limit: u64,
    window_nanos: u64,
}

/// One remembered charge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogEntry {
    /// When the units were taken.
    pub at: Timestamp,
    /// How many they were.
    pub units: u32,
}

/// The state of a [`SlidingLog`]: its charges, oldest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SlidingLogState(Box<Log>);

/// Behind a pointer, so that the states of all other algorithms are not as large as this one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Log {
    entries: VecDeque<LogEntry>,
    /// The sum over `entries`, so that a decision need not walk them.
    used: u64,
}

impl SlidingLogState {
    /// A state from stored entries, oldest first.
    pub fn from_entries(entries: impl IntoIterator<Item = LogEntry>) -> Self {
        let entries: VecDeque<_> = entries.into_iter().collect();
        let used = entries.iter().map(|entry| u64::from(entry.units)).sum();
        Self(Box::new(Log { entries, used }))
    }

    /// The remembered charges, oldest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = LogEntry> + '_ {
        self.0.entries.iter().copied()
    }

    fn forget_until(&mut self, expired: impl Fn(&LogEntry) -> bool) {
        let Log { entries, used } = &mut *self.0;
        while let Some(oldest) = entries.front().filter(|entry| expired(entry)) {
            *used -= u64::from(oldest.units);
            entries.pop_front();
        }
    }
}

impl SlidingLog {
    /// The largest limit of a log: 10,000 units.
    pub const MAX_LIMIT: u64 = 10_000;

    fn from_asked(asked: &Asked<'_>) -> Result<Algorithm, PolicyError> {
        asked.refuse_burst()?;
        if asked.limit > Self::MAX_LIMIT {
            return Err(PolicyError::Limit {
                policy: asked.policy.to_owned(),
                limit: asked.limit,
                max: Self::MAX_LIMIT,
            });
        }
        Ok(Algorithm::SlidingLog(Self { limit: asked.limit, window_nanos: asked.window_nanos }))
    }

    /// Units in any interval of one window's length.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Length of the window in nanoseconds.
    pub const fn window_nanos(&self) -> u64 {
        self.window_nanos
    }
}

impl BucketRule for SlidingLog {
    type State = SlidingLogState;

    fn fresh(&self, _now: Timestamp) -> SlidingLogState {
        SlidingLogState::default()
    }

    fn bring_up_to_date(&self, state: &mut SlidingLogState, now: Timestamp) -> Healed {
        state.forget_until(|entry| now.nanos_since(entry.at) >= self.window_nanos);
        let mut healed = Healed::No;
        for entry in state.0.entries.iter_mut().rev().take_while(|entry| entry.at > now) {
            entry.at = now;
            healed = Healed::Yes;
        }
        healed
    }

    fn wait(&self, state: &SlidingLogState, now: Timestamp, units: u64) -> Wait {
        if units > self.limit {
            return Wait::Never;
        }
        let mut excess = state.0.used.saturating_add(units).saturating_sub(self.limit);
        let mut wait = Wait::Now;
        for entry in &state.0.entries {
            if excess == 0 {
                break;
            }
            wait = Wait::nanos(entry.at.plus_nanos(self.window_nanos).nanos_since(now));
            excess = excess.saturating_sub(u64::from(entry.units));
        }
        wait
    }

    fn charge(&self, state: &mut SlidingLogState, now: Timestamp, units: u64) -> Timestamp {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        match state.0.entries.back_mut().filter(|newest| newest.at == now) {
            Some(newest) => newest.units = newest.units.saturating_add(units),
            None => state.0.entries.push_back(LogEntry { at: now, units }),
        }
        state.0.used = state.0.used.saturating_add(u64::from(units));
        now
    }

    fn refund(
        &self,
        state: &mut SlidingLogState,
        _now: Timestamp,
        mark: Timestamp,
        charged: u64,
        units: u64,
    ) -> u64 {
        // The newest entry of that instant: a step of the clock can have brought older ones there,
        // and the charge was added to the newest.
        let until_mark = state.0.entries.partition_point(|entry| entry.at <= mark);
        let Some(index) = until_mark.checked_sub(1) else {
            return 0;
        };
        let Some(entry) = state.0.entries.get_mut(index).filter(|entry| entry.at == mark) else {
            return 0;
        };
        let returned = u32::try_from(units.min(charged)).unwrap_or(u32::MAX).min(entry.units);
        entry.units -= returned;
        if entry.units == 0 {
            state.0.entries.remove(index);
        }
        state.0.used -= u64::from(returned);
        u64::from(returned)
    }

    fn add(&self, state: &mut SlidingLogState, now: Timestamp, units: u64) -> u64 {
        let taken = units.min(self.remaining(state, now));
        if taken > 0 {
            self.charge(state, now, taken);
        }
        units - taken
    }

    fn remaining(&self, state: &SlidingLogState, _now: Timestamp) -> u64 {
        self.limit.saturating_sub(state.0.used)
    }

    fn reset_nanos(&self, state: &SlidingLogState, now: Timestamp) -> u64 {
        self.full_at(state).nanos_since(now)
    }

    fn full_at(&self, state: &SlidingLogState) -> Timestamp {
        match state.0.entries.back() {
            Some(newest) => newest.at.plus_nanos(self.window_nanos),
            None => Timestamp::ORIGIN,
        }
    }

    fn capacity(&self) -> u64 {
        self.limit
    }

    fn share_of(&self, nodes: u64) -> Self {
        Self { limit: self.limit.div_ceil(nodes), ..*self }
    }

    fn describe(&self) -> String {
        "sliding log".to_owned()
    }

    fn format(&self) -> String {
        format!("sl{}", self.window_nanos)
    }
}

impl RateLimitPolicyBuilder {
    /// Counts in a [`SlidingLog`], with a limit of at most [`SlidingLog::MAX_LIMIT`].
    pub fn sliding_log(self) -> Self {
        self.counting(SlidingLog::from_asked)
    }
}
