//! What is told of policies that never change, rendered beforehand.

use std::sync::Arc;

use http::HeaderValue;
use rate_limit_core::{Decision, PolicyOutcome, RateLimitPolicy};

use super::draft;
use super::forever;
use super::items::Items;
use super::selection::DraftFields;
use super::value::{self, Writing, written};
use crate::quota::{self, Quota};

/// Policies that may decide together, and the fields that list them.
#[derive(Debug)]
pub(crate) struct PolicyList {
    /// Those that are enforced.
    policies: Box<[Listed]>,
    named: HeaderValue,
    unnamed: HeaderValue,
}

/// One policy, and what is told of it whatever was decided.
#[derive(Debug)]
struct Listed {
    policy: Arc<RateLimitPolicy>,
    quota: Quota,
    capacity: HeaderValue,
    items: Items,
}

/// A policy that is shown, with what was rendered of it beforehand.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) one: &'a PolicyOutcome,
    listed: Option<&'a Listed>,
}

impl PolicyList {
    /// The list; `None` without an enforced policy.
    pub(crate) fn new<'a>(
        policies: impl Iterator<Item = &'a Arc<RateLimitPolicy>>,
    ) -> Option<Self> {
        let policies: Option<Box<[_]>> =
            policies.filter(|policy| policy.is_enforced()).map(Listed::new).collect();
        let policies = policies?;
        let list = || policies.iter().map(|one| &*one.policy);
        let named = draft::policy_list(list(), DraftFields::Revision08To11)?;
        let unnamed = draft::policy_list(list(), DraftFields::Revision07)?;
        Some(Self { policies, named, unnamed })
    }

    /// The field that lists the policies, if they are the ones that decided.
    pub(super) fn of(&self, decision: &Decision, revision: DraftFields) -> Option<&HeaderValue> {
        let mut listed = self.policies.iter();
        let is_same = decision.enforced().all(|decided| {
            listed.next().is_some_and(|one| Arc::ptr_eq(&one.policy, decided.policy()))
        });
        if !is_same || listed.next().is_some() {
            return None;
        }
        Some(match revision {
            DraftFields::Revision08To11 | DraftFields::None => &self.named,
            DraftFields::Revision06 | DraftFields::Revision07 => &self.unnamed,
        })
    }
}

impl Listed {
    fn new(policy: &Arc<RateLimitPolicy>) -> Option<Self> {
        let capacity = forever::value(&policy.capacity().to_string())?;
        let items = Items::new(policy.capacity());
        Some(Self { policy: policy.clone(), quota: Quota::of(policy), capacity, items })
    }
}

impl<'a> Shown<'a> {
    /// Another version of a policy that is listed, such as the part of it that holds without the
    /// store, is shown by itself.
    #[inline]
    pub(super) fn of(one: &'a PolicyOutcome, list: Option<&'a PolicyList>) -> Self {
        let mut listed = list.into_iter().flat_map(|list| &list.policies);
        Self { one, listed: listed.find(|listed| Arc::ptr_eq(&listed.policy, one.policy())) }
    }

    #[inline]
    pub(super) fn quota(self) -> Quota {
        self.listed.map_or_else(|| Quota::of(self.one.policy()), |listed| listed.quota)
    }

    /// Its item of `RateLimit` as a value, which `write` writes if it is not there yet.
    #[inline]
    pub(super) fn item(self, write: impl FnOnce() -> Writing) -> HeaderValue {
        match self.listed {
            Some(listed) if quota::is_told_by_units(self.one) => {
                listed.items.item(quota::available(self.one), write)
            }
            _ => written(write()),
        }
    }

    /// The capacity as a value.
    #[inline]
    pub(super) fn capacity(self) -> HeaderValue {
        let capacity = || value::number(self.one.policy().capacity());
        self.listed.map_or_else(capacity, |listed| listed.capacity.clone())
    }
}
