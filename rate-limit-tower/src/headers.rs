//! The header fields of a response. Nowhere else in this crate is the name of one spelled.
//!
//! # Fields that were there before
//!
//! Fields are written as a whole: those of one decision, in place of all that an inner service had
//! written. Where layers are nested, those stay that are closer to exhaustion; and if the inner
//! layer turned the request away, its own do. A `Retry-After` of an inner service always stays: a
//! layer that lets a request pass has no wait to tell.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use rate_limit_core::{Decision, PolicyOutcome};

use crate::quota::{self, Told};

mod draft;
mod grpc;
mod policy_list;
mod selection;
mod values;

pub(crate) use grpc::{
    GRPC_MESSAGE, GRPC_RETRY_PUSHBACK_MS, GRPC_STATUS, GRPC_STATUS_DETAILS, grpc_content_type,
};
pub(crate) use policy_list::PolicyList;
pub use selection::{DraftFields, HeaderFields, ResetFormat};
use values::Values;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATELIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

const LIMIT_FIELDS: [HeaderName; 8] = [
    RATELIMIT,
    RATELIMIT_LIMIT,
    RATELIMIT_POLICY,
    RATELIMIT_REMAINING,
    RATELIMIT_RESET,
    X_RATELIMIT_LIMIT,
    X_RATELIMIT_REMAINING,
    X_RATELIMIT_RESET,
];

/// Every field that a layer may write and a script in a browser may want to read: the list for
/// `Access-Control-Expose-Headers`.
pub const EXPOSED_HEADERS: [HeaderName; 9] = [
    RATELIMIT,
    RATELIMIT_LIMIT,
    RATELIMIT_POLICY,
    RATELIMIT_REMAINING,
    RATELIMIT_RESET,
    X_RATELIMIT_LIMIT,
    X_RATELIMIT_REMAINING,
    X_RATELIMIT_RESET,
    RETRY_AFTER,
];

/// Writes what the client is told about its limits, in place of what was there. Nothing if no
/// enforced policy was asked.
///
/// `list` is what was rendered beforehand; it is used if it lists the policies that decided.
pub(crate) fn write_limits(
    fields: &mut HeaderMap,
    decision: &Decision,
    told: Told,
    selection: HeaderFields,
    list: Option<&PolicyList>,
) {
    let Some(closest) = decision.closest() else {
        return;
    };
    if carry_limits(fields) {
        clear_limits(fields);
    }
    let mut values = Values::new();
    if let Some(reset) = selection.legacy {
        write_legacy(&mut values, closest, told, reset);
    }
    draft::write(&mut values, decision, closest, told, selection.draft);
    values.insert_into(fields);
    draft::write_policies(fields, decision, selection.draft, list);
}

/// Whether there are any fields about limits.
pub(crate) fn carry_limits(fields: &HeaderMap) -> bool {
    LIMIT_FIELDS.iter().any(|name| fields.contains_key(name))
}

/// Writes when to try again, unless that is there already.
pub(crate) fn write_retry_after(fields: &mut HeaderMap, seconds: u64) {
    fields.entry(RETRY_AFTER).or_insert_with(|| seconds.into());
}

/// Writes what the body of a rejection is.
pub(crate) fn write_problem(fields: &mut HeaderMap) {
    fields.insert(CONTENT_TYPE, PROBLEM);
}

/// Writes that nobody may keep the response, unless it says something else already.
pub(crate) fn write_no_store(fields: &mut HeaderMap) {
    fields.entry(CACHE_CONTROL).or_insert(NO_STORE);
}

fn clear_limits(fields: &mut HeaderMap) {
    for name in &LIMIT_FIELDS {
        fields.remove(name);
    }
}

fn write_legacy(values: &mut Values, closest: &PolicyOutcome, told: Told, reset: ResetFormat) {
    let reset = match reset {
        ResetFormat::EpochSeconds => told.reset_at_seconds(closest),
        ResetFormat::DeltaSeconds => told.reset_in_seconds(closest),
    };
    values.number(X_RATELIMIT_LIMIT, closest.policy().capacity());
    values.number(X_RATELIMIT_REMAINING, quota::available(closest));
    values.number(X_RATELIMIT_RESET, reset);
}
