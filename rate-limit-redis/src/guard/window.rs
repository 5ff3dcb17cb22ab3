//! How many calls of the last second failed.

use std::time::{Duration, Instant};

use super::breaker::Report;

/// The window is cut into so many slices; the oldest is forgotten as a whole.
const SLICES: usize = 10;
const SLICE: Duration = Duration::from_millis(100);

/// Counts calls over one second.
#[derive(Debug)]
pub(super) struct Window {
    /// Where the newest slice begins, once something was counted.
    newest: Option<Instant>,
    /// The newest comes first.
    slices: [Slice; SLICES],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    calls: u32,
    failures: u32,
}

impl Window {
    pub(super) const EMPTY: Self =
        Self { newest: None, slices: [Slice { calls: 0, failures: 0 }; SLICES] };

    /// Counts one call.
    pub(super) fn count(&mut self, now: Instant, report: Report) {
        self.advance(now);
        let [newest, ..] = &mut self.slices;
        newest.calls = newest.calls.saturating_add(1);
        if matches!(report, Report::Failure(_)) {
            newest.failures = newest.failures.saturating_add(1);
        }
    }

    /// Whether at least `least_calls` were counted, and half of them failed.
    pub(super) fn is_half_failed(&self, least_calls: u32) -> bool {
        let (calls, failures) = self.slices.iter().fold((0_u64, 0_u64), |(calls, failures), of| {
            (calls + u64::from(of.calls), failures + u64::from(of.failures))
        });
        calls >= u64::from(least_calls) && 2 * failures >= calls
    }

    fn advance(&mut self, now: Instant) {
        let Some(newest) = self.newest else {
            self.newest = Some(now);
            return;
        };
        let passed = now.saturating_duration_since(newest).as_nanos() / SLICE.as_nanos();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        if passed == 0 {
            return;
        }
        let forgotten = SLICES.min(passed as usize);
        self.slices.rotate_right(forgotten % SLICES);
        for slice in self.slices.iter_mut().take(forgotten) {
            *slice = Slice::default();
        }
        self.newest = Some(newest + SLICE.saturating_mul(passed));
    }
}
