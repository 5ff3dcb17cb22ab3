//! The sliding window counter: two windows, the previous one weighted.
//!
//! Usage is `current + ceil(previous · (window − elapsed) / window)`, in integers: the units of the
//! previous window are taken to have come evenly spread, and leave one by one as the present window
//! advances. State stays at two counters whatever the limit, and the bursts at the boundary that a
//! fixed window allows all but disappear; in the worst case just under `2 · limit` units pass
//! within one window's length. For an exact bound use [`SlidingLog`](crate::SlidingLog).

use crate::algorithm::{Algorithm, BucketRule, Healed, Wait};
use crate::packed::PackedState;
use crate::policy::{Asked, PolicyError, RateLimitPolicyBuilder};
use crate::time::Timestamp;

/// `limit` units per window, weighted over two windows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SlidingWindow {
    limit: u64,
    window_nanos: u64,
}

/// The state of a [`SlidingWindow`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SlidingWindowState {
    /// When the present window began.
    pub start: Timestamp,
    /// Units taken in the present window.
    pub current: u64,
    /// Units taken in the window before it.
    pub previous: u64,
}

impl SlidingWindow {
    fn from_asked(asked: &Asked<'_>) -> Result<Algorithm, PolicyError> {
        asked.refuse_burst()?;
        Ok(Algorithm::SlidingWindow(Self { limit: asked.limit, window_nanos: asked.window_nanos }))
    }

    /// Units per window.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Length of a window in nanoseconds.
    pub const fn window_nanos(&self) -> u64 {
        self.window_nanos
    }

    /// Units that count at `now`.
    fn usage(&self, state: &SlidingWindowState, now: Timestamp) -> u64 {
        let left_nanos = self.window_nanos.saturating_sub(now.nanos_since(state.start));
        let weighted = (u128::from(state.previous) * u128::from(left_nanos))
            .div_ceil(u128::from(self.window_nanos));
        state.current.saturating_add(saturating_u64(weighted))
    }

    /// How long after the start of the present window nothing of these units counts any more.
    const fn nanos_until_full(&self, current: u64, previous: u64) -> u64 {
        let windows = match (current, previous) {
            (0, 0) => 0,
            (0, _) => 1,
            _ => 2,
        };
        self.window_nanos.saturating_mul(windows)
    }

    /// How far into a window the `weighted` units of the window before it have shrunk to `room`.
    fn elapsed_until(&self, weighted: u64, room: u64) -> u64 {
        if weighted <= room {
            return 0;
        }
        // `weighted · left / window` rounds up to at most `room` exactly while
        // `left <= room · window / weighted`.
        let left_nanos = u128::from(room) * u128::from(self.window_nanos) / u128::from(weighted);
        self.window_nanos.saturating_sub(saturating_u64(left_nanos))
    }
}

/// Products of two accepted values need 128 bits, the quotients here never do.
fn saturating_u64(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

impl BucketRule for SlidingWindow {
    type State = SlidingWindowState;

    fn fresh(&self, now: Timestamp) -> SlidingWindowState {
        SlidingWindowState { start: now, current: 0, previous: 0 }
    }

    fn bring_up_to_date(&self, state: &mut SlidingWindowState, now: Timestamp) -> Healed {
        if state.start > now {
            state.start = now;
            return Healed::Yes;
        }
        let elapsed = now.nanos_since(state.start);
        if elapsed >= self.window_nanos {
            let previous =
                if elapsed - self.window_nanos >= self.window_nanos { 0 } else { state.current };
            let start = if previous == 0 { now } else { state.start.plus_nanos(self.window_nanos) };
            *state = SlidingWindowState { start, current: 0, previous };
        }
        Healed::No
    }

    fn wait(&self, state: &SlidingWindowState, now: Timestamp, units: u64) -> Wait {
        if units > self.limit {
            return Wait::Never;
        }
        let elapsed = now.nanos_since(state.start);
        let until = match (self.limit - units).checked_sub(state.current) {
            // The present window leaves room once enough of the previous one has slid out.
            Some(room) => self.elapsed_until(state.previous, room),
            // It does not: the units must wait for the next window, in which the present one counts
            // as the previous one.
            None => self
                .window_nanos
                .saturating_add(self.elapsed_until(state.current, self.limit - units)),
        };
        Wait::nanos(until.saturating_sub(elapsed))
    }

    fn charge(&self, state: &mut SlidingWindowState, now: Timestamp, units: u64) -> Timestamp {
        if state.current == 0 && state.previous == 0 {
            state.start = now;
        }
        state.current = state.current.saturating_add(units);
        state.start
    }

    fn refund(
        &self,
        state: &mut SlidingWindowState,
        _now: Timestamp,
        mark: Timestamp,
        charged: u64,
        units: u64,
    ) -> u64 {
        let count = if state.start == mark {
            &mut state.current
        } else if state.start == mark.plus_nanos(self.window_nanos) {
            &mut state.previous
        } else {
            return 0;
        };
        let returned = units.min(charged).min(*count);
        *count -= returned;
        returned
    }

    fn add(&self, state: &mut SlidingWindowState, now: Timestamp, units: u64) -> u64 {
        let taken = units.min(self.remaining(state, now));
        self.charge(state, now, taken);
        units - taken
    }

    fn remaining(&self, state: &SlidingWindowState, now: Timestamp) -> u64 {
        self.limit.saturating_sub(self.usage(state, now))
    }

    fn reset_nanos(&self, state: &SlidingWindowState, now: Timestamp) -> u64 {
        self.full_at(state).nanos_since(now)
    }

    fn full_at(&self, state: &SlidingWindowState) -> Timestamp {
        state.start.plus_nanos(self.nanos_until_full(state.current, state.previous))
    }

    fn capacity(&self) -> u64 {
        self.limit
    }

    fn share_of(&self, nodes: u64) -> Self {
        Self { limit: self.limit.div_ceil(nodes), ..*self }
    }

    fn describe(&self) -> String {
        "sliding window".to_owned()
    }

    fn format(&self) -> String {
        format!("sw{}", self.window_nanos)
    }

    const IS_FIXED_SIZE: bool = true;

    #[inline]
    fn pack(&self, state: &SlidingWindowState) -> Option<PackedState> {
        let counts = [state.current, state.previous];
        Some(PackedState::counting(self.full_at(state), counts, self.limit))
    }

    #[inline]
    fn unpack(&self, packed: PackedState) -> Option<SlidingWindowState> {
        let [current, previous] = packed.counts();
        let start = packed.full_at.minus_nanos(self.nanos_until_full(current, previous));
        Some(SlidingWindowState { start, current, previous })
    }
}

impl RateLimitPolicyBuilder {
    /// Counts in a [`SlidingWindow`].
    pub fn sliding_window(self) -> Self {
        self.counting(SlidingWindow::from_asked)
    }
}
