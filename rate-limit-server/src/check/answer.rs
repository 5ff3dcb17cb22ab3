//! What is answered: whether the client may, what is left, and when to ask again.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use rate_limit_core::{Decision, PolicyOutcome, PolicyVerdict, Verdict, Wait};
use rate_limit_tower::NamedAnswer;
use serde_json::{Map, Value, json};

use super::question::{Ask, Detail, Receipt};
use crate::clock;
use crate::receipts::Receipts;

/// An answer of the layer, and what is said about it.
pub(super) struct Answer {
    response: http::Response<bytes::Bytes>,
    /// `None` if nobody knows who asks.
    said: Option<Map<String, Value>>,
}

impl Answer {
    pub(super) fn new(answer: NamedAnswer, ask: &Ask, receipts: &Receipts) -> Self {
        let NamedAnswer { response, receipt } = answer;
        let now = clock::unix_millis();
        let decision = response.extensions().get::<Decision>();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let mut said = decision.map(|decision| said(decision, ask.detail, retry_after, now));
        let wanted = receipt.filter(|_| ask.receipt == Receipt::Wanted);
        let name = wanted.and_then(|receipt| receipts.keep(receipt, now));
        if let (Some(said), Some(name)) = (&mut said, name) {
            said.insert("receipt".to_owned(), name.into());
        }
        Self { response, said }
    }

    /// One of several results.
    pub(super) fn into_entry(self) -> Value {
        let status = self.response.status().as_u16();
        let mut entry = self.said.unwrap_or_else(|| {
            Map::from_iter([
                ("allowed".to_owned(), false.into()),
                ("reason".to_owned(), "missing-identity".into()),
            ])
        });
        entry.insert("status".to_owned(), status.into());
        Value::Object(entry)
    }
}

impl IntoResponse for Answer {
    /// Status and fields are the layer's.
    fn into_response(self) -> Response {
        let (mut parts, body) = self.response.into_parts();
        let Some(said) = self.said else {
            return Response::from_parts(parts, Body::from(body));
        };
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Response::from_parts(parts, Body::from(Value::Object(said).to_string()))
    }
}

fn said(
    decision: &Decision,
    detail: Detail,
    retry_after: Option<u64>,
    now: u64,
) -> Map<String, Value> {
    let mut said = Map::new();
    said.insert("allowed".to_owned(), decision.is_allowed().into());
    if let Some(closest) = decision.closest() {
        said.insert("remaining".to_owned(), remaining(closest).into());
        insert(&mut said, "resetAt", reset_at(closest, now));
    }
    insert(&mut said, "retryAfter", retry_after);
    let reason = reason(decision);
    // Whoever brought the limit along knows which one is reached.
    if detail == Detail::Every || !matches!(decision.verdict(), Verdict::Deny) {
        insert(&mut said, "reason", reason);
    }
    if decision.is_degraded() {
        said.insert("degraded".to_owned(), true.into());
    }
    if detail == Detail::Every {
        let policies = decision.enforced().map(|one| policy(one, now)).collect();
        said.insert("policies".to_owned(), Value::Array(policies));
    }
    said
}

fn insert(said: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        said.insert(name.to_owned(), value.into());
    }
}

/// Why not.
fn reason(decision: &Decision) -> Option<&'static str> {
    match decision.verdict() {
        Verdict::Allow | Verdict::Exempt => None,
        Verdict::Block => Some("blocked"),
        Verdict::Deny if decision.is_ban() => Some("abnormal-usage-detected"),
        Verdict::Deny => Some("quota-exceeded"),
        Verdict::Unavailable => Some("temporary-reduced-capacity"),
    }
}

fn policy(one: &PolicyOutcome, now: u64) -> Value {
    let mut policy = json!({
        "policy": one.policy().name().as_str(),
        "limit": one.policy().capacity(),
        "remaining": remaining(one),
        "violated": one.outcome().is_violated(),
    });
    if let (Value::Object(members), Some(at)) = (&mut policy, reset_at(one, now)) {
        members.insert("resetAt".to_owned(), at.into());
    }
    policy
}

/// Whoever is banned can take nothing, whatever is in the bucket.
fn remaining(one: &PolicyOutcome) -> u64 {
    match one.outcome().verdict {
        PolicyVerdict::Ban => 0,
        PolicyVerdict::Admit | PolicyVerdict::Deny => one.outcome().remaining,
    }
}

/// When everything fits again; for who was turned away, when the request fits. Milliseconds since the
/// Unix epoch, rounded up; nothing if that is never.
fn reset_at(one: &PolicyOutcome, now: u64) -> Option<u64> {
    let nanos = match one.outcome().wait {
        Wait::After(nanos) if one.outcome().is_violated() => nanos,
        Wait::Never if one.outcome().is_violated() => return None,
        _ => one.outcome().reset_nanos,
    };
    Some(now.saturating_add(nanos.div_ceil(1_000_000)))
}
