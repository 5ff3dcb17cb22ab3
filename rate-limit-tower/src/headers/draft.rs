//! The fields of draft-ietf-httpapi-ratelimit-headers, revision by revision.

use std::fmt::Write as _;

use http::header::{HeaderMap, HeaderValue};
use rate_limit_core::{Decision, PolicyOutcome, RateLimitPolicy};

use super::policy_list::PolicyList;
use super::selection::DraftFields;
use super::values::Values;
use super::{RATELIMIT, RATELIMIT_LIMIT, RATELIMIT_POLICY, RATELIMIT_REMAINING, RATELIMIT_RESET};
use crate::quota::{self, Quota, Told};

/// Writes the field that lists the policies, rendered beforehand if possible.
pub(super) fn write_policies(
    fields: &mut HeaderMap,
    decision: &Decision,
    revision: DraftFields,
    list: Option<&PolicyList>,
) {
    if revision == DraftFields::None {
        return;
    }
    let rendered = || policy_list(decision.enforced().map(|one| &**one.policy()), revision);
    if let Some(policies) = list.and_then(|list| list.of(decision, revision)).or_else(rendered) {
        fields.insert(RATELIMIT_POLICY, policies);
    }
}

/// Writes the fields of one revision that tell where the client stands.
pub(super) fn write(
    values: &mut Values,
    decision: &Decision,
    closest: &PolicyOutcome,
    told: Told,
    revision: DraftFields,
) {
    let limit = || Quota::of(closest.policy()).units;
    let (remaining, reset) = (quota::available(closest), told.reset_in_seconds(closest));
    match revision {
        DraftFields::None => {}
        DraftFields::Revision06 => {
            values.number(RATELIMIT_LIMIT, limit());
            values.number(RATELIMIT_REMAINING, remaining);
            values.number(RATELIMIT_RESET, reset);
        }
        DraftFields::Revision07 => {
            let limit = limit();
            let limits = format_args!("limit={limit}, remaining={remaining}, reset={reset}");
            values.field(RATELIMIT, limits);
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
    let mut list = String::new();
    for policy in policies.filter(|policy| policy.is_enforced()) {
        let Quota { units, seconds } = Quota::of(policy);
        // Writing to a string cannot fail.
        let _ = match revision {
            DraftFields::Revision06 | DraftFields::Revision07 => {
                separate(&mut list);
                write!(list, "{units};w={seconds}")
            }
            DraftFields::None | DraftFields::Revision08To11 => {
                separate(&mut list);
                write!(list, "\"{}\";q={units};w={seconds}", policy.name())
            }
        };
    }
    value(list)
}

/// Writes `RateLimit` as from revision 08 on.
fn write_limits<'a>(
    values: &mut Values,
    limits: impl Iterator<Item = &'a PolicyOutcome>,
    told: Told,
) {
    for (index, one) in limits.enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        // A structured field string. No character of a policy's name needs escaping.
        let (name, remaining) = (one.policy().name(), quota::available(one));
        values.push(format_args!("{separator}\"{name}\";r={remaining}"));
        if let Some(seconds) = told.seconds_until_more(one) {
            values.push(format_args!(";t={seconds}"));
        }
    }
    values.end(RATELIMIT);
}

fn separate(list: &mut String) {
    if !list.is_empty() {
        list.push_str(", ");
    }
}

fn value(list: String) -> Option<HeaderValue> {
    if list.is_empty() {
        return None;
    }
    // Only visible ASCII was written, so this cannot fail; a field less would be the lesser evil.
    HeaderValue::try_from(list).ok()
}
