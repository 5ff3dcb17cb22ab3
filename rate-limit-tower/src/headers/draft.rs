//! The fields of draft-ietf-httpapi-ratelimit-headers, revision by revision.

use http::header::{HeaderName, HeaderValue};
use rate_limit_core::RateLimitPolicy;

use super::forever;
use super::policy_list::Shown;
use super::selection::DraftFields;
use super::template::Fields;
use super::value::{Writing, number, written};
use super::{
    Limits, RATELIMIT, RATELIMIT_LIMIT, RATELIMIT_POLICY, RATELIMIT_REMAINING, RATELIMIT_RESET,
};
use crate::quota::{self, Quota, Told};

/// The names of the fields that the functions below write, in their order.
pub(super) fn names(revision: DraftFields) -> Vec<&'static HeaderName> {
    match revision {
        DraftFields::None => vec![],
        DraftFields::Revision06 => {
            vec![&RATELIMIT_LIMIT, &RATELIMIT_REMAINING, &RATELIMIT_RESET, &RATELIMIT_POLICY]
        }
        DraftFields::Revision07 | DraftFields::Revision08To11 => {
            vec![&RATELIMIT, &RATELIMIT_POLICY]
        }
    }
}

/// Writes the fields of one revision, of which `closest` is the policy to show.
pub(super) fn write(
    fields: &mut impl Fields,
    limits: Limits<'_>,
    closest: Shown<'_>,
    revision: DraftFields,
) {
    let Limits { decision, told, list } = limits;
    match revision {
        DraftFields::None => return,
        DraftFields::Revision06 => {
            fields.put(&RATELIMIT_LIMIT, number(closest.quota().units));
            fields.put(&RATELIMIT_REMAINING, number(quota::available(closest.one)));
            fields.put(&RATELIMIT_RESET, number(told.reset_in_seconds(closest.one)));
        }
        DraftFields::Revision07 => {
            let mut value = Writing::new();
            value.push("limit=");
            value.push_number(closest.quota().units);
            value.push(", remaining=");
            value.push_number(quota::available(closest.one));
            value.push(", reset=");
            value.push_number(told.reset_in_seconds(closest.one));
            fields.put(&RATELIMIT, written(value));
        }
        DraftFields::Revision08To11 if decision.is_allowed() => {
            let item = closest.item(|| items([closest].into_iter(), told));
            fields.put(&RATELIMIT, item);
        }
        DraftFields::Revision08To11 => {
            let violated = decision.violated().map(|one| Shown::of(one, list));
            fields.put(&RATELIMIT, written(items(violated, told)));
        }
    }
    let rendered = list.and_then(|list| list.of(decision, revision));
    let policies = rendered.cloned().unwrap_or_else(|| {
        written(policies(decision.enforced().map(|one| &**one.policy()), revision))
    });
    fields.put(&RATELIMIT_POLICY, policies);
}

/// The value of `RateLimit-Policy`; `None` without an enforced policy.
pub(super) fn policy_list<'a>(
    all: impl Iterator<Item = &'a RateLimitPolicy>,
    revision: DraftFields,
) -> Option<HeaderValue> {
    let text = policies(all, revision);
    Some(text.as_str()).filter(|text| !text.is_empty()).and_then(forever::value)
}

/// One item for each enforced policy.
fn policies<'a>(all: impl Iterator<Item = &'a RateLimitPolicy>, revision: DraftFields) -> Writing {
    let mut value = Writing::new();
    for (index, policy) in all.filter(|policy| policy.is_enforced()).enumerate() {
        let Quota { units, seconds } = Quota::of(policy);
        value.push(if index > 0 { ", " } else { "" });
        if matches!(revision, DraftFields::None | DraftFields::Revision08To11) {
            push_name(&mut value, policy);
            value.push(";q=");
        }
        value.push_number(units);
        value.push(";w=");
        value.push_number(seconds);
    }
    value
}

/// The items of `RateLimit` as from revision 08 on.
fn items<'a>(all: impl Iterator<Item = Shown<'a>>, told: Told) -> Writing {
    let mut value = Writing::new();
    for (index, shown) in all.enumerate() {
        value.push(if index > 0 { ", " } else { "" });
        push_name(&mut value, shown.one.policy());
        value.push(";r=");
        value.push_number(quota::available(shown.one));
        if let Some(seconds) = told.seconds_until_more(shown.one, || shown.quota()) {
            value.push(";t=");
            value.push_number(seconds);
        }
    }
    value
}

/// A structured field string. No character of a policy's name needs escaping.
fn push_name(value: &mut Writing, policy: &RateLimitPolicy) {
    value.push("\"");
    value.push(policy.name().as_str());
    value.push("\"");
}
