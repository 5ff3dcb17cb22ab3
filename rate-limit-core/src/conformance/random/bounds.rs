//! Whether what was admitted keeps the bound of its algorithm in every interval.
//!
//! This looks at nothing but the instants and the net units of the admissions: it would find a
//! mistake that store and model have in common.

use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::conformance::trial::{Checked, Policy, ensure};
use crate::fixed_window::Alignment;

/// The admissions of one bucket under one version of its policy, while time went forward.
#[derive(Default)]
pub(super) struct Admissions {
    policy: Option<Policy>,
    stretch: u64,
    clock_was_set_back: bool,
    admitted: Vec<Admitted>,
}

struct Admitted {
    at: i128,
    units: i128,
}

/// By which a refund finds its admission again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    stretch: u64,
    index: usize,
}

impl Admissions {
    /// Writes down an admission.
    pub(super) fn admit(&mut self, policy: &Policy, at: u64, units: u64) -> Checked<Ticket> {
        self.under(policy)?;
        self.admitted.push(Admitted { at: at.into(), units: units.into() });
        Ok(Ticket { stretch: self.stretch, index: self.admitted.len() - 1 })
    }

    /// Writes down that units of an admission were given back.
    ///
    /// What is given back of an admission from an earlier stretch may have been forgiven already,
    /// when an impossible debt was brought back to what is possible; it begins a new stretch.
    pub(super) fn refund(&mut self, policy: &Policy, ticket: Ticket, units: u64) -> Checked {
        self.under(policy)?;
        if ticket.stretch != self.stretch && units > 0 {
            self.close()?;
        } else if let Some(admitted) = self.admitted.get_mut(ticket.index) {
            admitted.units -= i128::from(units);
        }
        Ok(())
    }

    /// A bound is a promise of one version of a policy: whatever another one does, be it to bring
    /// an impossible debt back to what is possible for it, begins a new stretch.
    pub(super) fn under(&mut self, policy: &Policy) -> Checked {
        if self.policy.as_ref().is_none_or(|known| !Arc::ptr_eq(known, policy)) {
            self.close()?;
            self.policy = Some(policy.clone());
        }
        Ok(())
    }

    /// Begins a new stretch because the clock was set back.
    pub(super) fn set_back(&mut self) -> Checked {
        self.close()?;
        self.clock_was_set_back = true;
        Ok(())
    }

    /// Checks every interval so far and begins anew.
    pub(super) fn close(&mut self) -> Checked {
        self.stretch += 1;
        let admitted = std::mem::take(&mut self.admitted);
        let Some(policy) = self.policy.take() else {
            return Ok(());
        };
        match policy.algorithm() {
            Algorithm::TokenBucket(rule) => {
                let (burst, interval) = (rule.burst().into(), rule.interval_nanos().into());
                token_bucket(&policy, &admitted, burst, interval)
            }
            Algorithm::FixedWindow(rule) => {
                // A window that was brought back ends off the grid, and the one after it is short:
                // three windows can touch one window's length.
                let short = self.clock_was_set_back && rule.alignment() == Alignment::Utc;
                let windows = if short { 3 } else { 2 };
                window(&policy, &admitted, rule.window_nanos(), windows * i128::from(rule.limit()))
            }
            Algorithm::SlidingWindow(rule) => {
                window(&policy, &admitted, rule.window_nanos(), 2 * i128::from(rule.limit()) - 1)
            }
            Algorithm::SlidingLog(rule) => {
                window(&policy, &admitted, rule.window_nanos(), rule.limit().into())
            }
        }
    }
}

/// Units between any two admissions, both included, are at most `burst + t / interval`: the largest
/// `interval · units − t` over all pairs, found in one pass by remembering the best beginning.
fn token_bucket(policy: &Policy, admitted: &[Admitted], burst: i128, interval: i128) -> Checked {
    let mut units = 0;
    let mut best_beginning = i128::MAX;
    for one in admitted {
        best_beginning = best_beginning.min(units * interval - one.at);
        units += one.units;
        let excess = (units * interval - one.at) - best_beginning - burst * interval;
        ensure!(excess <= 0, "{policy} admitted {excess} ns worth of units too many");
    }
    Ok(())
}

/// Units in any interval `[t, t + length)` are at most `bound`.
fn window(policy: &Policy, admitted: &[Admitted], length: u64, bound: i128) -> Checked {
    let mut units = 0;
    let mut oldest = admitted.iter().peekable();
    for one in admitted {
        units += one.units;
        while let Some(gone) = oldest.next_if(|old| old.at + i128::from(length) <= one.at) {
            units -= gone.units;
        }
        ensure!(units <= bound, "{policy} admitted {units} units within one window, of {bound}");
    }
    Ok(())
}
