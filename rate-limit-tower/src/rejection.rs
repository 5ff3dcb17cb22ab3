//! The responses of requests that do not reach the inner service.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use rate_limit_core::{Decision, PolicyOutcome, Verdict};

use crate::exposure::Exposure;
use crate::headers::{self, FieldWriter, Limits, PolicyList};
use crate::quota::Told;

mod form;
mod grpc;
mod problem;
mod protobuf;
mod wording;

pub(crate) use form::Form;
pub(crate) use problem::ProblemTypes;

/// Why a request does not reach the inner service, for those who write their own
/// [responses](crate::RateLimitLayerBuilder::reject_with).
pub struct Rejection<'a> {
    pub(crate) reason: RejectionReason,
    pub(crate) decision: Option<&'a Decision>,
    pub(crate) exposure: Exposure,
    pub(crate) told: Told,
    /// Whole seconds after which to try again; `None` if that does not help.
    pub(crate) retry_after_seconds: Option<u64>,
    pub(crate) documentation_url: Option<&'a str>,
    pub(crate) problem_types: &'a ProblemTypes,
}

/// The kinds of [`Rejection`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RejectionReason {
    /// A client is banned because it exceeded its limits again and again (429).
    AbnormalUsage,
    /// The client is on a list of the blocked (403).
    Block,
    /// Who asks is not known, and the rule demands that it is (400).
    MissingIdentity,
    /// A limit is reached (429).
    QuotaExceeded,
    /// The store does not answer, and the policies do not let the request pass without it (503).
    ReducedCapacity,
}

impl RejectionReason {
    /// The status of the response.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::AbnormalUsage | Self::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
            Self::Block => StatusCode::FORBIDDEN,
            Self::MissingIdentity => StatusCode::BAD_REQUEST,
            Self::ReducedCapacity => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Why this decision does not let the request pass.
    pub(crate) fn of(decision: &Decision) -> Self {
        match decision.verdict() {
            Verdict::Block => Self::Block,
            Verdict::Unavailable => Self::ReducedCapacity,
            Verdict::Allow | Verdict::Deny | Verdict::Exempt if decision.is_ban() => {
                Self::AbnormalUsage
            }
            Verdict::Allow | Verdict::Deny | Verdict::Exempt => Self::QuotaExceeded,
        }
    }

    /// Whole seconds after which to try again after this decision; `None` if that does not help.
    pub(crate) fn retry_after_seconds(self, decision: &Decision, told: Told) -> Option<u64> {
        match self {
            Self::AbnormalUsage | Self::QuotaExceeded => told.retry_after_seconds(decision.wait()),
            // The store may be back in a moment, also for a request that could never pass without.
            Self::ReducedCapacity => Some(told.retry_after_seconds(decision.wait()).unwrap_or(1)),
            Self::Block | Self::MissingIdentity => None,
        }
    }

    /// Whether the limits are to blame, so that the client is told about them.
    pub(crate) const fn is_denial(self) -> bool {
        matches!(self, Self::AbnormalUsage | Self::QuotaExceeded)
    }
}

impl Rejection<'_> {
    /// Why.
    pub const fn reason(&self) -> RejectionReason {
        self.reason
    }

    /// The decision; `None` if there is none because nobody knows who asks.
    pub const fn decision(&self) -> Option<&Decision> {
        self.decision
    }

    /// How long the client has to wait, in whole seconds; `None` if waiting does not help.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_seconds.map(Duration::from_secs)
    }

    /// Where the client can read about the limit.
    pub const fn documentation_url(&self) -> Option<&str> {
        self.documentation_url
    }

    /// How much the client may be told.
    pub const fn exposure(&self) -> Exposure {
        self.exposure
    }

    /// The problem document (RFC 9457) that is sent if nobody writes another response.
    pub fn to_response(&self) -> Response<Bytes> {
        let mut response = self.with_status(problem::document(self, None));
        headers::write_problem(response.headers_mut());
        response
    }

    /// The same with all of its fields. `form` is the place of what was written of it before.
    pub(crate) fn to_problem(
        &self,
        fields: &FieldWriter,
        limits: Option<Limits<'_>>,
        form: Option<&OnceLock<Form>>,
    ) -> Response<Bytes> {
        let mut response = self.with_status(problem::document(self, form));
        *response.headers_mut() = fields.of_problem(self.retry_after_seconds, limits);
        response
    }

    /// The response to a gRPC request.
    pub(crate) fn to_grpc_response(&self, content_type: HeaderValue) -> Response<Bytes> {
        grpc::response(self, content_type)
    }

    /// What the fields may tell about limits. `list` is what was rendered beforehand.
    pub(crate) fn limits_told<'a>(&'a self, list: Option<&'a PolicyList>) -> Option<Limits<'a>> {
        let may_tell = self.reason.is_denial() && self.exposure != Exposure::None;
        let told = self.told;
        self.decision.filter(|_| may_tell).map(|decision| Limits { decision, told, list })
    }

    /// The policy that is violated, if it is the only one.
    pub(crate) fn only_violated(&self) -> Option<&PolicyOutcome> {
        let mut violated = self.decision?.violated();
        violated.next().filter(|_| violated.next().is_none())
    }

    fn with_status(&self, body: Bytes) -> Response<Bytes> {
        let mut response = Response::new(body);
        *response.status_mut() = self.reason.status();
        response
    }
}

impl fmt::Debug for Rejection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection").field("reason", &self.reason).finish_non_exhaustive()
    }
}
