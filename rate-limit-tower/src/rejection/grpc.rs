//! Rejections as gRPC clients understand them: a response that consists of trailers only.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use rate_limit_core::PolicyOutcome;

use super::problem::{name, violated};
use super::protobuf::Message;
use super::{Rejection, RejectionReason, wording};
use crate::headers::{GRPC_MESSAGE, GRPC_RETRY_PUSHBACK_MS, GRPC_STATUS, GRPC_STATUS_DETAILS};
use crate::quota;
use crate::text::Text;

/// As long as the message for a client that has exceeded two policies.
const USUAL_BYTES: usize = 192;

/// The status 200 of HTTP, which every gRPC response has, and one of gRPC's own.
pub(super) fn response(rejection: &Rejection<'_>, content_type: HeaderValue) -> Response<Bytes> {
    let status = status(rejection.reason);
    let mut message = Text::<USUAL_BYTES>::new();
    wording::push_detail(&mut message, rejection, "\"");
    let message = message.as_str();
    let mut response = Response::new(Bytes::new());
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, content_type);
    fields.insert(GRPC_STATUS, status.into());
    insert(fields, GRPC_MESSAGE, percent_encoded(message));
    if rejection.reason.is_denial() || rejection.reason == RejectionReason::ReducedCapacity {
        let details = details(rejection, status, message);
        insert(fields, GRPC_STATUS_DETAILS, STANDARD_NO_PAD.encode(details.as_bytes()));
        fields.insert(GRPC_RETRY_PUSHBACK_MS, pushback_ms(rejection).into());
    }
    response
}

/// The status code of gRPC.
const fn status(reason: RejectionReason) -> u32 {
    match reason {
        RejectionReason::AbnormalUsage | RejectionReason::QuotaExceeded => 8,
        RejectionReason::Block => 7,
        RejectionReason::MissingIdentity => 16,
        RejectionReason::ReducedCapacity => 14,
    }
}

/// `google.rpc.Status`.
fn details(rejection: &Rejection<'_>, status: u32, message: &str) -> Message {
    let mut details = Message::default().number(1, status.into()).text(2, message);
    if let Some(seconds) = rejection.retry_after_seconds {
        let delay = Message::default().number(1, seconds);
        details = details.message(3, &any("RetryInfo", &Message::default().message(1, &delay)));
    }
    if rejection.reason.is_denial() && violated(rejection).next().is_some() {
        details = details.message(3, &any("QuotaFailure", &quota_failure(rejection)));
    }
    details.message(3, &any("ErrorInfo", &error_info(rejection)))
}

/// `google.protobuf.Any`.
fn any(name: &str, value: &Message) -> Message {
    Message::default().text(1, &format!("type.googleapis.com/google.rpc.{name}")).message(2, value)
}

/// `google.rpc.QuotaFailure`, one violation per violated policy.
fn quota_failure(rejection: &Rejection<'_>) -> Message {
    violated(rejection).fold(Message::default(), |failure, one| failure.message(1, &violation(one)))
}

/// The subject is the policy: who the client is, the server keeps to itself.
fn violation(one: &PolicyOutcome) -> Message {
    let policy = one.policy();
    let description = format!(
        "{} units per {:?}, {} left, {} needed",
        policy.limit(),
        policy.window(),
        quota::available(one),
        one.units()
    );
    Message::default()
        .text(1, &format!("policy:{}", name(one)))
        .text(2, &description)
        .text(5, name(one))
        .number(7, policy.limit())
}

/// `google.rpc.ErrorInfo`.
fn error_info(rejection: &Rejection<'_>) -> Message {
    let reason = match rejection.reason {
        RejectionReason::ReducedCapacity => "RATE_LIMIT_UNAVAILABLE",
        _ => "RATE_LIMIT_EXCEEDED",
    };
    let mut info = Message::default().text(1, reason).text(2, "rate-limit");
    if let Some(url) = rejection.documentation_url {
        let entry = Message::default().text(1, "documentationUrl").text(2, url);
        info = info.message(3, &entry);
    }
    info
}

/// How long a client that retries by itself shall wait; a negative number forbids it to.
fn pushback_ms(rejection: &Rejection<'_>) -> i32 {
    let milliseconds = |seconds: u64| i32::try_from(seconds.saturating_mul(1_000)).ok();
    // A client that would have to wait for weeks had better not.
    rejection.retry_after_seconds.and_then(milliseconds).unwrap_or(-1)
}

/// Everything but visible ASCII, and the percent sign, percent-encoded.
fn percent_encoded(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        // Writing to a string cannot fail.
        let _ = match byte {
            b' '..=b'~' if byte != b'%' => encoded.write_char(char::from(byte)),
            _ => write!(encoded, "%{byte:02X}"),
        };
    }
    encoded
}

fn insert(fields: &mut HeaderMap, name: http::HeaderName, value: String) {
    // Only visible ASCII was written, so this cannot fail; a field less would be the lesser evil.
    if let Ok(value) = HeaderValue::try_from(value) {
        fields.insert(name, value);
    }
}
