//! Nothing is told: neither feature is on. Costs nothing.

use rate_limit_core::{Charges, Enforced, RepositoryError, Timestamp};

use crate::rules::{Matched, Rules};
use crate::time_of_day::TimeOfDay;

/// Tells nothing.
pub(crate) struct Telemetry;

/// Remembers nothing.
#[derive(Default)]
pub(crate) struct Trail(());

impl Telemetry {
    pub(crate) const fn new(_: &Rules) -> Self {
        Self
    }

    pub(crate) const fn observe(
        &self,
        _: Option<&Enforced>,
        _: &Matched,
        _: &Trail,
        _: Timestamp,
        _: &TimeOfDay,
    ) {
    }

    pub(crate) const fn not_settled(&self, _: &RepositoryError) {}
}

impl Trail {
    pub(crate) const fn charged(&mut self, _rule: usize, _: &Charges) {}

    pub(crate) const fn wait(&mut self, _: &TimeOfDay) {}
}
