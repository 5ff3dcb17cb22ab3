//! What is charged under rules that somebody names, whatever they match.

use std::sync::Arc;

use rate_limit_core::ClientIdentity;

use super::{Plan, Rules};
use crate::request_view::RequestView;

/// One rule that was named, and what it is asked about.
pub(crate) struct Dimension<'a> {
    /// The place of the rule.
    pub(crate) place: usize,
    pub(crate) request: RequestView<'a>,
    /// What the look-ups of the rule have answered.
    pub(crate) found: Vec<Option<ClientIdentity>>,
    /// What is charged, if it is not what the rule says.
    pub(crate) units: Option<u64>,
}

impl Rules {
    /// The place of the rule of that name.
    pub(crate) fn place_of(&self, name: &str) -> Option<usize> {
        self.rules.iter().position(|rule| *rule.name == *name)
    }

    /// The names of all rules.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rules.iter().map(|rule| &rule.name)
    }

    /// What all dimensions are charged together. Who is exempt in one is exempt, and who is blocked
    /// in one and exempt in none is blocked, as if it were one request.
    pub(crate) fn plan_named<'a>(&self, dimensions: impl Iterator<Item = Dimension<'a>>) -> Plan {
        let mut plan = Plan::default();
        for dimension in dimensions {
            let Dimension { place, request, found, units } = dimension;
            plan.access = plan.access.and(self.access(&request));
            if let Some(rule) = self.get(place) {
                rule.charge(place, &request, self, &found, units, &mut plan);
            }
        }
        plan
    }
}
