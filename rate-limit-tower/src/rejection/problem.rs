//! Problem documents (RFC 9457).
//!
//! Denials are what an attack consists of, so the document is written as a text, in one piece: what
//! is always the same is there already, and numbers are filled in. Whatever might need to be escaped
//! is left to `serde_json`, which also checks in the tests that the text is what it would have
//! written.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use rate_limit_core::{Decision, PolicyOutcome};
use serde::Serialize;

use super::form::{Blank, Form, Writer};
use super::{Rejection, RejectionReason, wording};
use crate::exposure::Exposure;
use crate::quota;
use crate::text::Text;

/// Where the problem types of the draft are to be registered.
const IANA: &str = "https://iana.org/assignments/http-problem-types#";

/// As many bytes as the document of a client that has exceeded two policies needs.
const USUAL_BYTES: usize = 640;

type Document = Text<USUAL_BYTES>;

/// How the problem documents of a layer begin, up to the text for people.
pub(crate) struct ProblemTypes {
    abnormal_usage: Box<str>,
    block: Box<str>,
    missing_identity: Box<str>,
    quota_exceeded: Box<str>,
    reduced_capacity: Box<str>,
    too_many_requests: Box<str>,
    unavailable: Box<str>,
}

/// The problem document of a rejection, and the place of what was written of it before.
pub(super) fn document(rejection: &Rejection<'_>, form: Option<&OnceLock<Form>>) -> Bytes {
    if let (Some(form), Some((seconds, remaining))) = (form, blanks(rejection)) {
        return form.get_or_init(|| written(rejection)).filled(seconds, remaining);
    }
    let mut text = Document::new();
    write(&mut text, rejection);
    text.take_bytes()
}

/// What differs between this document and others of the same rule about the same policy; `None` if
/// more than these numbers does.
fn blanks(rejection: &Rejection<'_>) -> Option<(u64, u64)> {
    let is_usual =
        rejection.reason == RejectionReason::QuotaExceeded && rejection.exposure != Exposure::Full;
    let violated = rejection.only_violated().filter(|_| is_usual)?;
    Some((rejection.retry_after_seconds?, quota::available(violated)))
}

#[cold]
fn written(rejection: &Rejection<'_>) -> Form {
    let mut form = Form::default();
    write(&mut form, rejection);
    form
}

fn write(text: &mut impl Writer, rejection: &Rejection<'_>) {
    text.push(beginning(rejection));
    wording::push_detail(text, rejection, "\\\"");
    text.push("\"");
    let told = told(rejection);
    push_list(text, ",\"violated-policies\":[", told.map(Decision::violated), |text, one| {
        text.push("\"");
        text.push(name(one));
        text.push("\"");
    });
    if rejection.reason.is_denial() {
        push_list(text, ",\"limits_exceeded\":[", told.map(Decision::violated), |text, one| {
            push_limit(text, rejection, one);
        });
        if rejection.exposure == Exposure::Full {
            push_list(text, ",\"limits\":[", told.map(Decision::enforced), |text, one| {
                push_limit(text, rejection, one);
            });
        }
    }
    if let Some(seconds) = rejection.retry_after_seconds {
        text.push(",\"retry_after\":");
        text.push_blank(Blank::RetryAfterSeconds, seconds);
    }
    if let Some(url) = rejection.documentation_url {
        text.push(",\"documentation_url\":");
        text.push(&json(url));
    }
    text.push("}");
}

/// Writes a list, unless it is empty.
fn push_list<'a, W: Writer>(
    text: &mut W,
    beginning: &str,
    items: Option<impl Iterator<Item = &'a PolicyOutcome>>,
    push: impl Fn(&mut W, &PolicyOutcome),
) {
    let mut is_empty = true;
    // Not flattened, which would take longer than writing what there is.
    let Some(items) = items else { return };
    for item in items {
        text.push(if is_empty { beginning } else { "," });
        is_empty = false;
        push(text, item);
    }
    if !is_empty {
        text.push("]");
    }
}

/// Writes one policy and where the client stands.
fn push_limit(text: &mut impl Writer, rejection: &Rejection<'_>, one: &PolicyOutcome) {
    let outcome = one.outcome();
    text.push("{\"policy\":\"");
    text.push(name(one));
    text.push("\",\"limit\":");
    text.push_number(one.policy().limit());
    text.push(",\"window_seconds\":");
    push_seconds(text, one.policy().window());
    text.push(",\"remaining\":");
    text.push_blank(Blank::Remaining, quota::available(one));
    if rejection.exposure == Exposure::Full {
        text.push(",\"cost\":");
        text.push_number(one.units());
    }
    let waits = outcome.is_violated();
    if let Some(seconds) = rejection.told.retry_after_seconds(outcome.wait).filter(|_| waits) {
        text.push(",\"retry_after\":");
        text.push_blank(Blank::RetryAfterSeconds, seconds);
    }
    text.push("}");
}

/// Writes a length in seconds, with a fraction only where there is one.
fn push_seconds(text: &mut impl Writer, duration: Duration) {
    match duration.subsec_nanos() {
        0 => text.push_number(duration.as_secs()),
        _ => text.push(&json(&duration.as_secs_f64())),
    }
}

/// Strings and numbers always serialize.
fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The beginning with the problem type, its title and the status.
fn beginning<'a>(rejection: &Rejection<'a>) -> &'a str {
    let types = rejection.problem_types;
    match rejection.reason {
        RejectionReason::Block => &types.block,
        RejectionReason::MissingIdentity => &types.missing_identity,
        // The type of a ban would tell it from a limit.
        reason if reason.is_denial() && rejection.exposure == Exposure::None => {
            &types.too_many_requests
        }
        RejectionReason::AbnormalUsage => &types.abnormal_usage,
        RejectionReason::QuotaExceeded => &types.quota_exceeded,
        RejectionReason::ReducedCapacity if rejection.exposure == Exposure::None => {
            &types.unavailable
        }
        RejectionReason::ReducedCapacity => &types.reduced_capacity,
    }
}

impl ProblemTypes {
    /// The types that are described below `base`.
    pub(crate) fn below(base: &str) -> Self {
        use RejectionReason as Reason;

        let begin = |reason: Reason, r#type: &str, title: &str| {
            let (r#type, title) = (json(r#type), json(title));
            let status = reason.status().as_u16();
            format!("{{\"type\":{type},\"title\":{title},\"status\":{status},\"detail\":\"").into()
        };
        let named = |reason, name: &str, title| begin(reason, &format!("{base}{name}"), title);
        // No type but the status.
        let blank = |reason, title| begin(reason, "about:blank", title);
        Self {
            abnormal_usage: named(
                Reason::AbnormalUsage,
                "abnormal-usage-detected",
                "Abnormal Usage Detected",
            ),
            block: blank(Reason::Block, "Forbidden"),
            missing_identity: blank(Reason::MissingIdentity, "Bad Request"),
            quota_exceeded: named(Reason::QuotaExceeded, "quota-exceeded", "Quota Exceeded"),
            reduced_capacity: named(
                Reason::ReducedCapacity,
                "temporary-reduced-capacity",
                "Temporary Reduced Capacity",
            ),
            too_many_requests: blank(Reason::QuotaExceeded, "Too Many Requests"),
            unavailable: blank(Reason::ReducedCapacity, "Service Unavailable"),
        }
    }
}

impl Default for ProblemTypes {
    fn default() -> Self {
        Self::below(IANA)
    }
}

/// The decision, if the client may learn of its policies.
pub(super) fn told<'a>(rejection: &Rejection<'a>) -> Option<&'a Decision> {
    rejection.decision.filter(|_| rejection.exposure != Exposure::None)
}

/// The violated policies of which the client may learn.
pub(super) fn violated<'a>(rejection: &Rejection<'a>) -> impl Iterator<Item = &'a PolicyOutcome> {
    told(rejection).into_iter().flat_map(Decision::violated)
}

/// No character of it needs to be escaped anywhere.
pub(super) fn name(one: &PolicyOutcome) -> &str {
    one.policy().name().as_str()
}

#[cfg(test)]
mod tests;
