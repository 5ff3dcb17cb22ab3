//! The fields of draft-ietf-httpapi-ratelimit-headers, revision by revision.

use http::header::{HeaderName, HeaderValue};
use rate_limit_core::{Decision, PolicyOutcome, RateLimitPolicy};

use super::forever;
use super::policy_list::PolicyList;
use super::selection::DraftFields;
use super::values::Values;
use super::{RATELIMIT, RATELIMIT_LIMIT, RATELIMIT_POLICY, RATELIMIT_REMAINING, RATELIMIT_RESET};
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

/// Writes the field that lists the policies, rendered beforehand if possible.
pub(super) fn write_policies<'a>(
    values: &mut Values<'a>,
    decision: &Decision,
    revision: DraftFields,
    list: Option<&'a PolicyList>,
) {
    if revision == DraftFields::None {
        return;
    }
    if let Some(rendered) = list.and_then(|list| list.of(decision, revision)) {
        values.rendered(&RATELIMIT_POLICY, rendered);
    } else {
        push_policies(values, decision.enforced().map(|one| &**one.policy()), revision);
        values.end(&RATELIMIT_POLICY);
    }
}

/// Writes the fields of one revision that tell where the client stands.
pub(super) fn write(
    values: &mut Values<'_>,
    decision: &Decision,
    closest: &PolicyOutcome,
    told: Told,
    revision: DraftFields,
) {
    match revision {
        DraftFields::None => {}
        DraftFields::Revision06 => {
            values.number(&RATELIMIT_LIMIT, Quota::of(closest.policy()).units);
            values.number(&RATELIMIT_REMAINING, quota::available(closest));
            values.number(&RATELIMIT_RESET, told.reset_in_seconds(closest));
        }
        DraftFields::Revision07 => {
            values.push("limit=");
            values.push_number(Quota::of(closest.policy()).units);
            values.push(", remaining=");
            values.push_number(quota::available(closest));
            values.push(", reset=");
            values.push_number(told.reset_in_seconds(closest));
            values.end(&RATELIMIT);
        }
        DraftFields::Revision08To11 if decision.is_allowed() => {
            write_limits(values, std::iter::once(closest), told);
        }
        DraftFields::Revision08To11 => write_limits(values, decision.violated(), told),
    }
}

/// The value of `RateLimit-Policy`; `None` without an enforced policy.
pub(super) fn policy_list<'a>(
    policies: impl Iterator<Item = &'a RateLimitPolicy>,
    revision: DraftFields,
) -> Option<HeaderValue> {
    let mut values = Values::new();
    push_policies(&mut values, policies, revision);
    Some(values.as_text()).filter(|text| !text.is_empty()).and_then(forever::value)
}

/// Writes one item for each enforced policy.
fn push_policies<'a>(
    values: &mut Values<'_>,
    policies: impl Iterator<Item = &'a RateLimitPolicy>,
    revision: DraftFields,
) {
    for (index, policy) in policies.filter(|policy| policy.is_enforced()).enumerate() {
        let Quota { units, seconds } = Quota::of(policy);
        if index > 0 {
            values.push(", ");
        }
        if matches!(revision, DraftFields::None | DraftFields::Revision08To11) {
            push_name(values, policy);
            values.push(";q=");
        }
        values.push_number(units);
        values.push(";w=");
        values.push_number(seconds);
    }
}

/// Writes `RateLimit` as from revision 08 on.
fn write_limits<'a>(
    values: &mut Values<'_>,
    limits: impl Iterator<Item = &'a PolicyOutcome>,
    told: Told,
) {
    for (index, one) in limits.enumerate() {
        if index > 0 {
            values.push(", ");
        }
        push_name(values, one.policy());
        values.push(";r=");
        values.push_number(quota::available(one));
        if let Some(seconds) = told.seconds_until_more(one) {
            values.push(";t=");
            values.push_number(seconds);
        }
    }
    values.end(&RATELIMIT);
}

/// A structured field string. No character of a policy's name needs escaping.
fn push_name(values: &mut Values<'_>, policy: &RateLimitPolicy) {
    values.push("\"");
    values.push(policy.name().as_str());
    values.push("\"");
}
