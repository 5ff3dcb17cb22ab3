//! The field that lists the policies, rendered beforehand.

use std::sync::Arc;

use http::HeaderValue;
use rate_limit_core::{Decision, RateLimitPolicy};

use super::draft;
use super::selection::DraftFields;

/// Policies that may decide together, and the fields that list them.
#[derive(Clone, Debug)]
pub(crate) struct PolicyList {
    /// Those that are enforced.
    policies: Box<[Arc<RateLimitPolicy>]>,
    named: HeaderValue,
    unnamed: HeaderValue,
}

impl PolicyList {
    /// The list; `None` without an enforced policy.
    pub(crate) fn new<'a>(
        policies: impl Iterator<Item = &'a Arc<RateLimitPolicy>>,
    ) -> Option<Self> {
        let policies: Box<[_]> = policies.filter(|policy| policy.is_enforced()).cloned().collect();
        let list = || policies.iter().map(|policy| &**policy);
        let named = draft::policy_list(list(), DraftFields::Revision08To11)?;
        let unnamed = draft::policy_list(list(), DraftFields::Revision07)?;
        Some(Self { policies, named, unnamed })
    }

    /// The field, if the list is of the policies that decided. Under another version of a policy,
    /// such as the part of it that holds without the store, it is not.
    pub(super) fn of(&self, decision: &Decision, revision: DraftFields) -> Option<&HeaderValue> {
        let mut listed = self.policies.iter();
        let is_same = decision
            .enforced()
            .all(|one| listed.next().is_some_and(|policy| Arc::ptr_eq(policy, one.policy())));
        if !is_same || listed.next().is_some() {
            return None;
        }
        Some(match revision {
            DraftFields::Revision08To11 | DraftFields::None => &self.named,
            DraftFields::Revision06 | DraftFields::Revision07 => &self.unnamed,
        })
    }
}
