//! The header fields of a response. Nowhere else in this crate is the name of one spelled.
//!
//! `RateLimit-Policy` and `RateLimit` have the shape of draft-ietf-httpapi-ratelimit-headers,
//! revisions 08 to 11. That text still changes.

use std::fmt::Write as _;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use rate_limit_core::{Decision, PolicyOutcome, RateLimitPolicy, Timestamp};

use crate::quota::{self, Quota};

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Writes what the client is told about its limits, in place of what was there. Nothing if no
/// enforced policy was asked.
///
/// `policies` is the [`policy_list`] of all policies that can decide.
pub(crate) fn write_limits(
    fields: &mut HeaderMap,
    decision: &Decision,
    now: Timestamp,
    policies: Option<&HeaderValue>,
) {
    let Some(closest) = decision.closest() else {
        return;
    };
    fields.insert(X_RATELIMIT_LIMIT, closest.policy().capacity().into());
    fields.insert(X_RATELIMIT_REMAINING, quota::available(closest).into());
    fields.insert(X_RATELIMIT_RESET, quota::reset_at_seconds(closest, now).into());
    let policies = if decision.is_degraded() {
        // Without the store a policy may be enforced in part. What is listed is what decided.
        policy_list(decision.enforced().map(|one| &**one.policy()))
    } else {
        policies.cloned()
    };
    if let Some(policies) = policies {
        fields.insert(RATELIMIT_POLICY, policies);
    }
    let limits = if decision.is_allowed() {
        limit_list(std::iter::once(closest))
    } else {
        limit_list(decision.violated())
    };
    if let Some(limits) = limits {
        fields.insert(RATELIMIT, limits);
    }
}

/// Writes when to try again.
pub(crate) fn write_retry_after(fields: &mut HeaderMap, seconds: u64) {
    fields.insert(RETRY_AFTER, seconds.into());
}

/// Writes what the body of a rejection is, and that nobody may keep it.
pub(crate) fn write_problem(fields: &mut HeaderMap) {
    fields.insert(CONTENT_TYPE, PROBLEM);
    fields.insert(CACHE_CONTROL, NO_STORE);
}

/// The value of `RateLimit-Policy`; `None` without an enforced policy. Every layer renders it once.
pub(crate) fn policy_list<'a>(
    policies: impl Iterator<Item = &'a RateLimitPolicy>,
) -> Option<HeaderValue> {
    let mut list = String::new();
    for policy in policies.filter(|policy| policy.is_enforced()) {
        let Quota { units, seconds } = Quota::of(policy);
        begin_member(&mut list, policy);
        let _ = write!(list, ";q={units};w={seconds}");
    }
    value(list)
}

/// The value of `RateLimit`.
fn limit_list<'a>(limits: impl Iterator<Item = &'a PolicyOutcome>) -> Option<HeaderValue> {
    // The longest common case, so that one allocation is enough.
    let mut list = String::with_capacity(64);
    for one in limits {
        begin_member(&mut list, one.policy());
        let _ = write!(list, ";r={}", quota::available(one));
        if let Some(seconds) = quota::seconds_until_more(one) {
            let _ = write!(list, ";t={seconds}");
        }
    }
    value(list)
}

/// Writes the name as a structured field string. No character of a policy's name needs escaping.
/// Writing to a string cannot fail.
fn begin_member(list: &mut String, policy: &RateLimitPolicy) {
    if !list.is_empty() {
        list.push_str(", ");
    }
    let _ = write!(list, "\"{}\"", policy.name());
}

fn value(list: String) -> Option<HeaderValue> {
    if list.is_empty() {
        return None;
    }
    // Only visible ASCII was written, so this cannot fail; a field less would be the lesser evil.
    HeaderValue::try_from(list).ok()
}
