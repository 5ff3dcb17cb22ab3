//! Problem documents (RFC 9457).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use rate_limit_core::PolicyOutcome;
use serde::{Serialize, Serializer};

use super::{Rejection, RejectionReason, wording};
use crate::exposure::Exposure;
use crate::{headers, quota};

/// Where the problem types of the draft are to be registered.
const IANA: &str = "https://iana.org/assignments/http-problem-types#";

/// As many bytes as the document of a client that has exceeded two policies needs.
const USUAL_BYTES: usize = 1_024;

/// As many fields as a rejection has with everything switched on.
const USUAL_FIELDS: usize = 8;

/// What stands in the body. It is written into the body as it is: denials are what an attack
/// consists of, so nothing is collected first.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(rename = "violated-policies", skip_serializing_if = "Violated::is_empty")]
    violated_policies: Violated<'a>,
    #[serde(skip_serializing_if = "Limits::is_empty")]
    limits_exceeded: Limits<'a>,
    /// All limits, with [`Exposure::Full`].
    #[serde(skip_serializing_if = "Limits::is_empty")]
    limits: Limits<'a>,
    #[serde(rename = "retry_after", skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation_url: Option<&'a str>,
}

/// The problem types of a layer, written out once.
pub(crate) struct ProblemTypes {
    abnormal_usage: Box<str>,
    quota_exceeded: Box<str>,
    reduced_capacity: Box<str>,
}

/// No type but the status.
const BLANK: &str = "about:blank";

/// The names of the violated policies.
struct Violated<'a>(&'a Rejection<'a>);

/// Policies and where the client stands.
enum Limits<'a> {
    None,
    Exceeded(&'a Rejection<'a>),
    All(&'a Rejection<'a>),
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
    let is_denial = rejection.reason.is_denial();
    let problem = Problem {
        r#type,
        title,
        status: status.as_u16(),
        detail: &wording::detail(rejection),
        violated_policies: Violated(rejection),
        limits_exceeded: if is_denial { Limits::Exceeded(rejection) } else { Limits::None },
        limits: match rejection.exposure {
            Exposure::Full if is_denial => Limits::All(rejection),
            _ => Limits::None,
        },
        retry_after_seconds: rejection.retry_after_seconds(),
        documentation_url: rejection.documentation_url,
    };
    let mut body = Vec::with_capacity(USUAL_BYTES);
    // Numbers and strings always serialize, and a vector takes whatever is written to it; an empty
    // body would still be a valid rejection.
    if serde_json::to_writer(&mut body, &problem).is_err() {
        body.clear();
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = HeaderMap::with_capacity(USUAL_FIELDS);
    headers::write_problem(response.headers_mut());
    response
}

/// The problem type and its title.
fn kind<'a>(rejection: &Rejection<'a>) -> (&'a str, &'static str) {
    let types = rejection.problem_types;
    match rejection.reason {
        RejectionReason::Block => (BLANK, "Forbidden"),
        RejectionReason::MissingIdentity => (BLANK, "Bad Request"),
        // The type of a ban would tell it from a limit.
        reason if reason.is_denial() && rejection.exposure == Exposure::None => {
            (BLANK, "Too Many Requests")
        }
        RejectionReason::AbnormalUsage => (&types.abnormal_usage, "Abnormal Usage Detected"),
        RejectionReason::QuotaExceeded => (&types.quota_exceeded, "Quota Exceeded"),
        RejectionReason::ReducedCapacity if rejection.exposure == Exposure::None => {
            (BLANK, "Service Unavailable")
        }
        RejectionReason::ReducedCapacity => (&types.reduced_capacity, "Temporary Reduced Capacity"),
    }
}

impl ProblemTypes {
    /// The types that are described below `base`.
    pub(crate) fn below(base: &str) -> Self {
        let named = |name: &str| format!("{base}{name}").into();
        Self {
            abnormal_usage: named("abnormal-usage-detected"),
            quota_exceeded: named("quota-exceeded"),
            reduced_capacity: named("temporary-reduced-capacity"),
        }
    }
}

impl Default for ProblemTypes {
    fn default() -> Self {
        Self::below(IANA)
    }
}

impl Violated<'_> {
    fn is_empty(&self) -> bool {
        violated(self.0).next().is_none()
    }
}

impl Serialize for Violated<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(violated(self.0).map(name))
    }
}

impl Limits<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::Exceeded(rejection) => violated(rejection).next().is_none(),
            Self::All(rejection) => enforced(rejection).next().is_none(),
        }
    }
}

impl Serialize for Limits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.collect_seq([(); 0]),
            Self::Exceeded(rejection) => {
                serializer.collect_seq(violated(rejection).map(|one| limit(rejection, one)))
            }
            Self::All(rejection) => {
                serializer.collect_seq(enforced(rejection).map(|one| limit(rejection, one)))
            }
        }
    }
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

fn enforced<'a>(rejection: &'a Rejection<'_>) -> impl Iterator<Item = &'a PolicyOutcome> {
    rejection.decision.into_iter().flat_map(|decision| decision.enforced())
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
