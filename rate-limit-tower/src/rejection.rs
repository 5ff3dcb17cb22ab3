//! The responses of requests that do not reach the inner service: problem documents (RFC 9457).

use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Response, StatusCode};
use rate_limit_core::{Decision, PolicyOutcome, Timestamp, Verdict, Wait};
use serde::Serialize;

use crate::{headers, quota};

const ABNORMAL_USAGE: &str =
    "https://iana.org/assignments/http-problem-types#abnormal-usage-detected";
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const REDUCED_CAPACITY: &str =
    "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// What stands in the body.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    violated_policies: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limits_exceeded: Vec<ExceededLimit<'a>>,
    #[serde(rename = "retry_after", skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
}

/// One violated policy.
#[derive(Serialize)]
struct ExceededLimit<'a> {
    policy: &'a str,
    limit: u64,
    window_seconds: Seconds,
    remaining: u64,
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

/// The response to a request that was decided at `now` and does not pass. `policies` as in
/// [`headers::write_limits`].
pub(crate) fn response(
    decision: &Decision,
    now: Timestamp,
    policies: Option<&HeaderValue>,
) -> Response<Bytes> {
    match decision.verdict() {
        Verdict::Block => blocked(),
        Verdict::Unavailable => unavailable(decision),
        Verdict::Allow | Verdict::Deny | Verdict::Exempt => {
            let mut response = denied(decision);
            headers::write_limits(response.headers_mut(), decision, now, policies);
            response
        }
    }
}

fn denied(decision: &Decision) -> Response<Bytes> {
    let retry_after_seconds = quota::retry_after_seconds(decision.wait());
    let (r#type, title) = if decision.is_ban() {
        (ABNORMAL_USAGE, "Abnormal Usage Detected")
    } else {
        (QUOTA_EXCEEDED, "Quota Exceeded")
    };
    respond(StatusCode::TOO_MANY_REQUESTS, |status| Problem {
        r#type,
        title,
        status,
        detail: explain(decision, retry_after_seconds),
        violated_policies: decision.violated().map(name).collect(),
        limits_exceeded: decision.violated().map(exceeded_limit).collect(),
        retry_after_seconds,
    })
}

/// The store does not answer and the policies do not let the request pass without it. The client
/// did nothing wrong and learns nothing about its limits.
fn unavailable(decision: &Decision) -> Response<Bytes> {
    // The store may be back in a moment, also for a request that could never pass without it.
    let seconds = quota::retry_after_seconds(decision.wait()).unwrap_or(1);
    respond(StatusCode::SERVICE_UNAVAILABLE, |status| Problem {
        r#type: REDUCED_CAPACITY,
        title: "Temporary Reduced Capacity",
        status,
        detail: format!(
            "Whether this request may pass cannot be decided at the moment. {}",
            try_again(seconds)
        ),
        violated_policies: decision.violated().map(name).collect(),
        limits_exceeded: Vec::new(),
        retry_after_seconds: Some(seconds),
    })
}

fn blocked() -> Response<Bytes> {
    respond(StatusCode::FORBIDDEN, |status| Problem {
        r#type: "about:blank",
        title: "Forbidden",
        status,
        detail: "This client is not allowed to use the service.".to_owned(),
        violated_policies: Vec::new(),
        limits_exceeded: Vec::new(),
        retry_after_seconds: None,
    })
}

fn respond<'a>(status: StatusCode, problem: impl FnOnce(u16) -> Problem<'a>) -> Response<Bytes> {
    let problem = problem(status.as_u16());
    // Numbers and strings always serialize; an empty body would still be a valid rejection.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    headers::write_problem(response.headers_mut());
    if let Some(seconds) = problem.retry_after_seconds {
        headers::write_retry_after(response.headers_mut(), seconds);
    }
    response
}

fn name(one: &PolicyOutcome) -> &str {
    one.policy().name().as_str()
}

fn exceeded_limit(one: &PolicyOutcome) -> ExceededLimit<'_> {
    ExceededLimit {
        policy: name(one),
        limit: one.policy().limit(),
        window_seconds: Seconds::from(one.policy().window()),
        remaining: quota::available(one),
        retry_after_seconds: quota::retry_after_seconds(one.outcome().wait),
    }
}

/// Says in a sentence or two what happened and what to do.
fn explain(decision: &Decision, retry_after_seconds: Option<u64>) -> String {
    let names = quoted(decision.violated().map(name));
    let Some(seconds) = retry_after_seconds else {
        let never = decision.violated().find(|one| one.outcome().wait == Wait::Never);
        let (units, most) = never.map_or((0, 0), |one| (one.units(), one.policy().capacity()));
        let names = quoted(never.into_iter().map(name));
        return format!(
            "This request costs {}, and the policy {names} never admits more than {most} at \
             once. Trying again does not help.",
            counted(units, "unit")
        );
    };
    let several = decision.violated().nth(1).is_some();
    let limits = if several { "limits of the policies" } else { "limit of the policy" };
    let reached = match (decision.is_ban(), several) {
        (false, false) => "is reached",
        (false, true) => "are reached",
        (true, false) => "was exceeded again and again",
        (true, true) => "were exceeded again and again",
    };
    format!("The {limits} {names} {reached}. {}", try_again(seconds))
}

/// Names in quotation marks, as one reads them out.
fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    match names.split_last() {
        Some((last, rest @ [_, ..])) => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn try_again(seconds: u64) -> String {
    format!("Try again in {}.", counted(seconds, "second"))
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        match duration.subsec_nanos() {
            0 => Self::Whole(duration.as_secs()),
            _ => Self::Fraction(duration.as_secs_f64()),
        }
    }
}
