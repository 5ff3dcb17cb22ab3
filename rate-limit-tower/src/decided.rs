//! A decision on its way into a response.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, Request, Response};
use rate_limit_core::{Decision, RateLimitRepository, RepositoryError, Timestamp};

use crate::asking::{Answered, Subject};
use crate::body::RateLimitBody;
use crate::double_counting::counted_twice;
use crate::exposure::Exposure;
use crate::handle::RateLimitHandle;
use crate::headers::{self, Limits};
use crate::layer::Shared;
use crate::quota::Told;
use crate::rejection::{Rejection, RejectionReason};
use crate::rules::Matched;
use crate::settlement::{Ending, Open, Settlement};

/// A decision that lets a request pass, and what it takes to tell the client about it.
pub(crate) struct Decided<R> {
    decision: Decision,
    /// The time of day of the decision. What remains and when it resets is as of then, however long
    /// the inner service takes.
    at: Timestamp,
    matched: Matched,
    /// `None` if the charge stands in any case, and once it was decided what becomes of it. Boxed,
    /// because for most requests there is none.
    open: Option<Box<Open>>,
    shared: Arc<Shared<R>>,
}

/// What follows from the answer to a request.
pub(crate) enum Following<'a> {
    /// It passes.
    Pass(Passing<'a>),
    /// This is the response in place of the inner service's.
    Reject(Response<Bytes>),
}

/// A request that passes. The decision is borrowed until it is clear where it will stay, because it
/// is a large value to move.
pub(crate) struct Passing<'a> {
    decision: &'a mut Decision,
    at: Timestamp,
    handle: Option<RateLimitHandle>,
    open: Option<Box<Open>>,
}

impl<'a> Following<'a> {
    /// What follows from the answer to `request`.
    #[inline]
    pub(crate) fn of<R: RateLimitRepository + 'static, B>(
        answered: &'a mut Answered,
        subject: &Subject,
        request: &Request<B>,
        shared: &Arc<Shared<R>>,
    ) -> Self {
        let at = shared.time_of_day.now();
        let (telemetry, trail) = (&shared.telemetry, &answered.trail);
        let enforced = answered.enforced();
        telemetry.observe(enforced, &subject.matched, trail, at, &shared.time_of_day);
        let provisional = std::mem::take(&mut answered.provisional);
        let Some(enforced) = answered.enforced_mut() else {
            return Self::Reject(reject(None, at, subject, request, shared));
        };
        shared.store_health.observe(enforced, at);
        if let Some(twice) = counted_twice(place(shared), &enforced.decision, request.extensions())
        {
            shared.reported.counted_twice(twice.policy().name().as_str());
        }
        if !enforced.decision.is_allowed() {
            let decision = Some(&mut enforced.decision);
            return Self::Reject(reject(decision, at, subject, request, shared));
        }
        let handle = shared.gives_handles.then(|| {
            let names = shared.rules.applying(&subject.matched).map(|(_, rule)| rule.name.clone());
            RateLimitHandle::new(enforced.decision.clone(), names.collect())
        });
        let may_change = !provisional.is_empty() || handle.is_some();
        let receipt = if may_change { enforced.take_receipt() } else { None };
        let open = receipt.map(|receipt| {
            let is_grpc = headers::grpc_content_type(request.headers()).is_some();
            Box::new(Open { receipt, provisional, handle: handle.clone(), is_grpc })
        });
        Self::Pass(Passing { decision: &mut enforced.decision, at, handle, open })
    }
}

impl Passing<'_> {
    /// Tells the handler, if the layer was asked to, and layers further inside.
    #[inline]
    pub(crate) fn hand_over<R>(&mut self, shared: &Arc<Shared<R>>, extensions: &mut Extensions) {
        shared.marking.mark(place(shared), self.decision, self.at, extensions);
        if let Some(handle) = self.handle.take() {
            extensions.insert(handle);
        }
    }

    /// The decision on its way.
    #[inline]
    pub(crate) fn on_its_way<R>(self, matched: Matched, shared: Arc<Shared<R>>) -> Decided<R> {
        Decided { decision: self.decision.take(), at: self.at, matched, open: self.open, shared }
    }
}

impl<R: RateLimitRepository + 'static> Decided<R> {
    /// Corrects what was charged, or decides when that is to be done.
    pub(crate) fn settle<B>(&mut self, response: &Response<B>) -> Settlement {
        match self.open.take() {
            Some(open) => open.settle(&self.shared, response),
            None => Settlement::Nothing,
        }
    }

    /// The store could not carry out the correction, so the charge stands.
    pub(crate) fn not_settled(&self, failure: &RepositoryError) {
        self.shared.telemetry.not_settled(failure);
    }

    /// The inner service's response with the fields of this decision, which goes beside it.
    pub(crate) fn complete<B>(
        &mut self,
        response: Response<B>,
        ending: Option<Ending>,
    ) -> Response<RateLimitBody<B>> {
        let mut response = response.map(|body| RateLimitBody::inner(body, ending));
        if has_more_to_say(&response, &self.decision) {
            return response;
        }
        let shared = &self.shared;
        if shared.exposure(&self.matched) != Exposure::None {
            let told = Told { at: self.at, stretch_permille: 0 };
            let list = shared.rules.list(&self.matched);
            let limits = Limits { decision: &self.decision, told, list };
            shared.field_writer.write_limits(response.headers_mut(), limits);
        }
        if shared.tells_outer_layers {
            response.extensions_mut().insert(self.decision.take());
        }
        response
    }
}

/// By which a layer recognises itself.
fn place<R>(shared: &Arc<Shared<R>>) -> usize {
    Arc::as_ptr(shared).addr()
}

/// The response in place of the inner service's. There is no decision if nobody knows who asks.
fn reject<R: RateLimitRepository + 'static, B>(
    decision: Option<&mut Decision>,
    at: Timestamp,
    subject: &Subject,
    request: &Request<B>,
    shared: &Shared<R>,
) -> Response<Bytes> {
    let reason = decision.as_deref().map_or(RejectionReason::MissingIdentity, RejectionReason::of);
    let told =
        Told { at, stretch_permille: shared.jitter.as_ref().map_or(0, |one| one.permille()) };
    let rejection = Rejection {
        reason,
        decision: decision.as_deref(),
        exposure: shared.exposure(&subject.matched),
        told,
        retry_after_seconds: decision
            .as_deref()
            .and_then(|decision| reason.retry_after_seconds(decision, told)),
        documentation_url: shared.documentation_url(&subject.matched),
        problem_types: &shared.problem_types,
    };
    let limits = rejection.limits_told(shared.rules.list(&subject.matched));
    let with_fields = |mut response: Response<Bytes>| {
        let fields = response.headers_mut();
        headers::write_no_store(fields);
        if let Some(seconds) = rejection.retry_after_seconds {
            headers::write_retry_after(fields, seconds);
        }
        if let Some(limits) = limits {
            shared.field_writer.write_limits(fields, limits);
        }
        response
    };
    let mut response = match (headers::grpc_content_type(request.headers()), &shared.reject_with) {
        (Some(content_type), _) => with_fields(rejection.to_grpc_response(content_type)),
        (None, Some(respond)) => with_fields(respond(&rejection, &subject.view(request))),
        (None, None) => rejection.to_problem(&shared.field_writer, limits),
    };
    if let Some(decision) = decision {
        response.extensions_mut().insert(decision.take());
    }
    response
}

/// Where several of these layers are nested, one of them speaks: the one that turned the request
/// away, whose reason would be lost; otherwise the one closer to exhaustion, among equals the outer
/// one.
fn has_more_to_say<B>(response: &Response<B>, outer: &Decision) -> bool {
    let Some(inner) = response.extensions().get::<Decision>() else {
        return false;
    };
    if !inner.is_allowed() {
        return true;
    }
    let (Some(inner), Some(outer)) = (inner.closest(), outer.closest()) else {
        return inner.closest().is_some();
    };
    // An inner layer that keeps its limits to itself leaves the word to the outer one.
    headers::carry_limits(response.headers())
        && share(inner.outcome().remaining, outer.policy().capacity())
            < share(outer.outcome().remaining, inner.policy().capacity())
}

/// One side of a comparison of fractions without dividing.
fn share(remaining: u64, capacity_of_the_other: u64) -> u128 {
    u128::from(remaining) * u128::from(capacity_of_the_other)
}
