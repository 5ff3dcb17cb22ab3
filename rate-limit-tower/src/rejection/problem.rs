//! Problem documents (RFC 9457).

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use rate_limit_core::PolicyOutcome;
use serde::Serialize;

use super::{Rejection, RejectionReason, wording};
use crate::exposure::Exposure;
use crate::{headers, quota};

/// Where the problem types of the draft are to be registered.
pub(crate) const IANA: &str = "https://iana.org/assignments/http-problem-types#";

/// What stands in the body.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    violated_policies: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limits_exceeded: Vec<Limit<'a>>,
    /// All limits, with [`Exposure::Full`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limits: Vec<Limit<'a>>,
    #[serde(rename = "retry_after", skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation_url: Option<&'a str>,
}

/// One policy and where the client stands.
#[derive(Serialize)]
struct Limit<'a> {
    policy: &'a str,
    limit: u64,
    window_seconds: Seconds,
    remaining: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<u64>,
    #[serde(rename = "retry_after", skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
}

/// A length in seconds, with a fraction only where there is one.
#[derive(Serialize)]
#[serde(untagged)]
enum Seconds {
    Whole(u64),
    Fraction(f64),
}

/// The problem document of a rejection.
pub(super) fn response(rejection: &Rejection<'_>) -> Response<Bytes> {
    let (r#type, title) = kind(rejection);
    let status = rejection.reason.status();
    let problem = Problem {
        r#type,
        title,
        status: status.as_u16(),
        detail: wording::detail(rejection),
        violated_policies: violated(rejection).map(name).collect(),
        limits_exceeded: limits_exceeded(rejection),
        limits: limits(rejection),
        retry_after_seconds: rejection.retry_after_seconds(),
        documentation_url: rejection.documentation_url,
    };
    // Numbers and strings always serialize; an empty body would still be a valid rejection.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    headers::write_problem(response.headers_mut());
    response
}

/// The problem type and its title.
fn kind(rejection: &Rejection<'_>) -> (String, &'static str) {
    let typed = |name: &str| format!("{}{name}", rejection.problem_type_base);
    let untyped = || "about:blank".to_owned();
    match rejection.reason {
        RejectionReason::Block => (untyped(), "Forbidden"),
        RejectionReason::MissingIdentity => (untyped(), "Bad Request"),
        // The type of a ban would tell it from a limit.
        reason if reason.is_denial() && rejection.exposure == Exposure::None => {
            (untyped(), "Too Many Requests")
        }
        RejectionReason::AbnormalUsage => {
            (typed("abnormal-usage-detected"), "Abnormal Usage Detected")
        }
        RejectionReason::QuotaExceeded => (typed("quota-exceeded"), "Quota Exceeded"),
        RejectionReason::ReducedCapacity if rejection.exposure == Exposure::None => {
            (untyped(), "Service Unavailable")
        }
        RejectionReason::ReducedCapacity => {
            (typed("temporary-reduced-capacity"), "Temporary Reduced Capacity")
        }
    }
}

fn limits_exceeded<'a>(rejection: &'a Rejection<'_>) -> Vec<Limit<'a>> {
    if !rejection.reason.is_denial() {
        return Vec::new();
    }
    violated(rejection).map(|one| limit(rejection, one)).collect()
}

fn limits<'a>(rejection: &'a Rejection<'_>) -> Vec<Limit<'a>> {
    if !rejection.reason.is_denial() || rejection.exposure != Exposure::Full {
        return Vec::new();
    }
    let all = rejection.decision.into_iter().flat_map(|decision| decision.enforced());
    all.map(|one| limit(rejection, one)).collect()
}

fn limit<'a>(rejection: &Rejection<'_>, one: &'a PolicyOutcome) -> Limit<'a> {
    let outcome = one.outcome();
    let waits = outcome.is_violated();
    Limit {
        policy: name(one),
        limit: one.policy().limit(),
        window_seconds: Seconds::from(one.policy().window()),
        remaining: quota::available(one),
        cost: (rejection.exposure == Exposure::Full).then(|| one.units()),
        retry_after_seconds: waits
            .then(|| rejection.told.retry_after_seconds(outcome.wait))
            .flatten(),
    }
}

/// The violated policies of which the client may learn.
pub(super) fn violated<'a>(
    rejection: &'a Rejection<'_>,
) -> impl Iterator<Item = &'a PolicyOutcome> {
    let told = rejection.decision.filter(|_| rejection.exposure != Exposure::None);
    told.into_iter().flat_map(|decision| decision.violated())
}

pub(super) fn name(one: &PolicyOutcome) -> &str {
    one.policy().name().as_str()
}

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        match duration.subsec_nanos() {
            0 => Self::Whole(duration.as_secs()),
            _ => Self::Fraction(duration.as_secs_f64()),
        }
    }
}
