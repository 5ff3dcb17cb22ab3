//! Contenders that take turns.
//!
//! On a machine that others use as well, its speed changes from second to second, and contenders that
//! are measured one after the other get different machines. Where each takes a short turn in every
//! round, all get the same one. The figure is that of the turn which a tenth of its turns are faster
//! than: what the machine takes away from a turn only ever makes it slower.

use std::time::Instant;

/// When a turn begins.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// What a tenth of the turns are faster than; `None` without any. Sorts them.
pub fn tenth(turns: &mut [f64]) -> Option<f64> {
    turns.sort_by(f64::total_cmp);
    turns.get(turns.len() / 10).copied()
}
