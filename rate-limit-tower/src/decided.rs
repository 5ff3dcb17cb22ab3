//! A decision on its way into a response.

use std::sync::Arc;

use http::Response;
use rate_limit_core::{Decision, Enforced, Timestamp};

use crate::body::RateLimitBody;
use crate::layer::Shared;
use crate::{diagnosis, headers, rejection};

/// A decision, and what it takes to tell the client about it.
pub(crate) struct Decided<R> {
    /// Shared, because outer layers find it in the response.
    decision: Arc<Decision>,
    /// The time of day of the decision. What remains and when it resets is as of then, however long
    /// the inner service takes.
    at: Timestamp,
    shared: Arc<Shared<R>>,
}

impl<R> Decided<R> {
    pub(crate) fn new(enforced: Enforced, shared: Arc<Shared<R>>) -> Self {
        // Nothing is settled yet: a receipt that is dropped leaves the charge as it is.
        let Enforced { decision, receipt: _, failure } = enforced;
        if let Some(failure) = failure {
            diagnosis::store_did_not_answer(&failure);
        }
        Self { decision: Arc::new(decision), at: shared.time_of_day.now(), shared }
    }

    pub(crate) fn lets_pass(&self) -> bool {
        self.decision.is_allowed()
    }

    /// The inner service's response with the fields of this decision.
    pub(crate) fn complete<B>(self, response: Response<B>) -> Response<RateLimitBody<B>> {
        let mut response = response.map(RateLimitBody::inner);
        if is_rejection_of_an_inner_layer(&response) {
            return response;
        }
        headers::write_limits(
            response.headers_mut(),
            &self.decision,
            self.at,
            self.shared.policy_list.as_ref(),
        );
        response.extensions_mut().insert(self.decision);
        response
    }

    /// The response in place of the inner service's.
    pub(crate) fn reject<B>(self) -> Response<RateLimitBody<B>> {
        let policies = self.shared.policy_list.as_ref();
        let mut response =
            rejection::response(&self.decision, self.at, policies).map(RateLimitBody::rejection);
        response.extensions_mut().insert(self.decision);
        response
    }
}

/// Where several of these layers are nested, the one that rejected knows why. Writing over its
/// fields would tell the client that there is quota left.
fn is_rejection_of_an_inner_layer<B>(response: &Response<B>) -> bool {
    response.extensions().get::<Arc<Decision>>().is_some_and(|inner| !inner.is_allowed())
}
