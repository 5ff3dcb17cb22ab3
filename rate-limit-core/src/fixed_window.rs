//! The fixed window: `limit` units per window.
//!
//! A window begins with the key's first charge, or on the UTC grid if it is *aligned*, so that "per
//! day" can mean the calendar day. It is the cheapest algorithm to explain and the loosest: around
//! the boundary of two windows up to `2 · limit` units can pass within one window's length.
//!
//! A window ends one length after it began, whatever the clock says about the grid: a time of day
//! that is set back neither opens an earlier window nor refills the present one. An aligned window
//! that was overtaken by such a step ends off the grid and the next one is shorter, so that around a
//! step up to `3 · limit` units can pass within one window's length.

use crate::algorithm::{Algorithm, BucketRule, Healed, Wait};
use crate::packed::PackedState;
use crate::policy::{Asked, DAY_NANOS, PolicyError, RateLimitPolicyBuilder};
use crate::time::{TimeAxis, Timestamp};

/// Where the windows of a [`FixedWindow`] begin.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Alignment {
    /// With the first charge after the previous window ended.
    FirstRequest,
    /// At whole multiples of the length since midnight UTC. The length divides a day.
    Utc,
}

/// `limit` units per window of a fixed length.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FixedWindow {
    limit: u64,
    window_nanos: u64,
    alignment: Alignment,
}

/// The state of a [`FixedWindow`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FixedWindowState {
    /// When the window began.
    pub start: Timestamp,
    /// Units taken since then.
    pub used: u64,
}

impl FixedWindow {
    fn from_first_request(asked: &Asked<'_>) -> Result<Algorithm, PolicyError> {
        asked.refuse_burst()?;
        Ok(Algorithm::FixedWindow(Self {
            limit: asked.limit,
            window_nanos: asked.window_nanos,
            alignment: Alignment::FirstRequest,
        }))
    }

    fn aligned(asked: &Asked<'_>) -> Result<Algorithm, PolicyError> {
        asked.refuse_burst()?;
        if !DAY_NANOS.is_multiple_of(asked.window_nanos) {
            return Err(PolicyError::AlignedWindow {
                policy: asked.policy.to_owned(),
                window: asked.window(),
            });
        }
        Ok(Algorithm::FixedWindow(Self {
            limit: asked.limit,
            window_nanos: asked.window_nanos,
            alignment: Alignment::Utc,
        }))
    }

    /// Units per window.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Length of a window in nanoseconds.
    pub const fn window_nanos(&self) -> u64 {
        self.window_nanos
    }

    /// Where windows begin.
    pub const fn alignment(&self) -> Alignment {
        self.alignment
    }

    /// When the window ends.
    fn end(&self, state: &FixedWindowState) -> Timestamp {
        state.start.plus_nanos(self.window_nanos)
    }
}

impl BucketRule for FixedWindow {
    type State = FixedWindowState;

    fn fresh(&self, now: Timestamp) -> FixedWindowState {
        let into_window = match self.alignment {
            Alignment::FirstRequest => 0,
            Alignment::Utc => now.as_nanos() % self.window_nanos,
        };
        FixedWindowState { start: now.minus_nanos(into_window), used: 0 }
    }

    fn bring_up_to_date(&self, state: &mut FixedWindowState, now: Timestamp) -> Healed {
        if state.used == 0 {
            // Stores may have forgotten it, and nobody is to notice whether they have.
            *state = self.fresh(now);
            return Healed::No;
        }
        if state.start > now {
            // The clock was set back. The window starts over now instead of lasting until the
            // clock has caught up, and keeps what was used.
            state.start = now;
            return Healed::Yes;
        }
        if now.nanos_since(state.start) >= self.window_nanos {
            *state = self.fresh(now);
        }
        Healed::No
    }

    fn wait(&self, state: &FixedWindowState, now: Timestamp, units: u64) -> Wait {
        if units > self.limit {
            return Wait::Never;
        }
        if units <= self.remaining(state, now) {
            return Wait::Now;
        }
        Wait::nanos(self.end(state).nanos_since(now))
    }

    fn charge(&self, state: &mut FixedWindowState, now: Timestamp, units: u64) -> Timestamp {
        if state.used == 0 && self.alignment == Alignment::FirstRequest {
            // Also after everything was refunded: such a bucket is as good as a fresh one.
            state.start = now;
        }
        state.used = state.used.saturating_add(units);
        state.start
    }

    fn refund(
        &self,
        state: &mut FixedWindowState,
        _now: Timestamp,
        mark: Timestamp,
        charged: u64,
        units: u64,
    ) -> u64 {
        if state.start != mark {
            return 0;
        }
        let returned = units.min(charged).min(state.used);
        state.used -= returned;
        returned
    }

    fn add(&self, state: &mut FixedWindowState, now: Timestamp, units: u64) -> u64 {
        let taken = units.min(self.remaining(state, now));
        self.charge(state, now, taken);
        units - taken
    }

    fn remaining(&self, state: &FixedWindowState, _now: Timestamp) -> u64 {
        self.limit.saturating_sub(state.used)
    }

    fn reset_nanos(&self, state: &FixedWindowState, now: Timestamp) -> u64 {
        if state.used == 0 && self.alignment == Alignment::FirstRequest {
            return 0;
        }
        self.end(state).nanos_since(now)
    }

    /// A window of which nothing is used is as good as a fresh one, however long it still lasts.
    fn full_at(&self, state: &FixedWindowState) -> Timestamp {
        if state.used == 0 { state.start } else { self.end(state) }
    }

    fn capacity(&self) -> u64 {
        self.limit
    }

    fn share_of(&self, nodes: u64) -> Self {
        Self { limit: self.limit.div_ceil(nodes), ..*self }
    }

    fn describe(&self) -> String {
        match self.alignment {
            Alignment::FirstRequest => "fixed window".to_owned(),
            Alignment::Utc => "fixed window aligned to UTC".to_owned(),
        }
    }

    fn axis(&self) -> TimeAxis {
        match self.alignment {
            Alignment::FirstRequest => TimeAxis::Monotonic,
            Alignment::Utc => TimeAxis::Utc,
        }
    }

    /// The length is part of the format: a count means nothing under another one.
    fn format(&self) -> String {
        match self.alignment {
            Alignment::FirstRequest => format!("fw{}", self.window_nanos),
            Alignment::Utc => format!("fa{}", self.window_nanos),
        }
    }

    const IS_FIXED_SIZE: bool = true;

    #[inline]
    fn pack(&self, state: &FixedWindowState) -> Option<PackedState> {
        Some(PackedState::counting(self.full_at(state), [state.used, 0], self.limit))
    }

    #[inline]
    fn unpack(&self, packed: PackedState) -> Option<FixedWindowState> {
        let [used, _] = packed.counts();
        let start = match used {
            0 => packed.full_at,
            _ => packed.full_at.minus_nanos(self.window_nanos),
        };
        Some(FixedWindowState { start, used })
    }
}

impl RateLimitPolicyBuilder {
    /// Counts in a [`FixedWindow`] that begins with the key's first request.
    pub fn fixed_window(self) -> Self {
        self.counting(FixedWindow::from_first_request)
    }

    /// Counts in a [`FixedWindow`] that begins at whole multiples of its length since midnight UTC.
    /// The length has to divide a day.
    ///
    /// # Example: a quota per calendar day
    ///
    /// ```
    /// use rate_limit_core::RateLimitPolicy;
    ///
    /// let daily = RateLimitPolicy::per_day(5_000).aligned_window().build()?;
    /// assert_eq!(daily.to_string(), "default: 5000 per 86400s, fixed window aligned to UTC");
    /// # Ok::<(), rate_limit_core::PolicyError>(())
    /// ```
    pub fn aligned_window(self) -> Self {
        self.counting(FixedWindow::aligned)
    }
}
