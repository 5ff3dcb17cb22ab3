//! A decision on its way into a response.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, Request, Response};
use rate_limit_core::{Decision, Enforced, RateLimitRepository, Timestamp};

use crate::asking::{Answered, Subject};
use crate::body::RateLimitBody;
use crate::double_counting::counted_twice;
use crate::exposure::Exposure;
use crate::handle::RateLimitHandle;
use crate::headers::{self, LimitFields, Limits};
use crate::layer::Shared;
use crate::quota::Told;
use crate::rejection::{Rejection, RejectionReason};
use crate::rules::{Matched, Provisional};
use crate::settlement::{Ending, Open, Settlement};

/// What the response to a request that passes will say. Made when the request was decided, because
/// a decision is a large value to carry, and what remains and when it resets is as of then, however
/// long the inner service takes.
pub(crate) struct Decided<R> {
    limits: Telling,
    /// What outer layers are told; `None` if that is nothing.
    beside: Option<Beside>,
    /// Where the client stands under the policy closest to exhaustion, if any was asked.
    standing: Option<Standing>,
    /// `None` if the charge stands in any case, and once it was decided what becomes of it. Boxed,
    /// because for most requests there is none.
    open: Option<Box<Open<R>>>,
}

/// What the client is told about its limits.
#[derive(Default)]
enum Telling {
    /// Nothing, because no policy was asked.
    #[default]
    Nothing,
    /// Nothing, and not by the inner service either.
    Silence,
    Fields(LimitFields),
}

/// A decision for outer layers, where they will look for it.
#[derive(Clone, Debug)]
pub(crate) struct Beside(Extensions);

/// What remains, and of how much.
#[derive(Clone, Copy)]
struct Standing {
    remaining: u64,
    capacity: u64,
}

/// What follows from the answer to a request.
pub(crate) enum Following<'a, R> {
    /// It passes.
    Pass(Passing<'a, R>),
    /// This is the response in place of the inner service's.
    Reject(Response<Bytes>),
}

/// A request that passes. The decision is borrowed until what follows from it is made.
pub(crate) struct Passing<'a, R> {
    decision: &'a mut Decision,
    at: Timestamp,
    handle: Option<RateLimitHandle>,
    open: Option<Box<Open<R>>>,
}

impl<'a, R: RateLimitRepository + 'static> Following<'a, R> {
    /// What follows from the answer to `request`.
    #[inline]
    pub(crate) fn of<B>(
        answered: &'a mut Answered,
        subject: &Subject,
        request: &Request<B>,
        shared: &Arc<Shared<R>>,
    ) -> Self {
        let at = shared.time_of_day.now();
        let (telemetry, trail) = (&shared.telemetry, &answered.plan.trail);
        let enforced = answered.enforced();
        telemetry.observe(enforced, &subject.matched, trail, at, &shared.time_of_day);
        let provisional = std::mem::take(&mut answered.plan.provisional);
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
        let (handle, open) = if shared.gives_handles || !provisional.is_empty() {
            open(enforced, provisional, subject, shared)
        } else {
            (None, None)
        };
        Self::Pass(Passing { decision: &mut enforced.decision, at, handle, open })
    }
}

/// What may change the charge later, and the handle of those who may.
#[inline(never)]
fn open<R>(
    enforced: &mut Enforced,
    provisional: Vec<Provisional>,
    subject: &Subject,
    shared: &Arc<Shared<R>>,
) -> (Option<RateLimitHandle>, Option<Box<Open<R>>>) {
    let handle = shared.gives_handles.then(|| {
        let names = shared.rules.applying(&subject.matched).map(|(_, rule)| rule.name.clone());
        RateLimitHandle::new(enforced.decision.clone(), names.collect())
    });
    let open = enforced.take_receipt().map(|receipt| {
        let (handle, shared) = (handle.clone(), Arc::clone(shared));
        Box::new(Open { receipt, provisional, handle, shared })
    });
    (handle, open)
}

impl<R> Passing<'_, R> {
    /// Tells the handler, if the layer was asked to, and layers further inside.
    #[inline]
    pub(crate) fn hand_over(&mut self, shared: &Arc<Shared<R>>, extensions: &mut Extensions) {
        shared.marking.mark(place(shared), self.decision, self.at, extensions);
        if let Some(handle) = self.handle.take() {
            extensions.insert(handle);
        }
    }

    /// What the response will say.
    #[inline]
    pub(crate) fn on_its_way(self, matched: &Matched, shared: &Shared<R>) -> Decided<R> {
        let Self { decision, at, open, .. } = self;
        let standing = Standing::of(decision);
        let limits = if standing.is_none() {
            Telling::Nothing
        } else if shared.exposure(matched) == Exposure::None {
            Telling::Silence
        } else {
            let told = Told { at, stretch_permille: 0 };
            let list = shared.rules.list(matched);
            let fields = shared.field_writer.of_limits(Limits { decision, told, list });
            fields.map_or(Telling::Nothing, Telling::Fields)
        };
        let beside = shared.tells_outer_layers.then(|| shared.beside.with(decision));
        Decided { limits, beside, standing, open }
    }
}

impl<R: RateLimitRepository + 'static> Decided<R> {
    /// Corrects what was charged, or decides when that is to be done.
    #[inline]
    pub(crate) fn settle<B>(&mut self, response: &Response<B>) -> Settlement<R> {
        match self.open.take() {
            Some(open) => open.settle(response),
            None => Settlement::Nothing,
        }
    }

    /// The inner service's response with the fields of this decision, which goes beside it.
    #[inline]
    pub(crate) fn complete<B>(
        &mut self,
        response: Response<B>,
        ending: Option<Ending>,
    ) -> Response<RateLimitBody<B>> {
        let mut response = response.map(|body| RateLimitBody::inner(body, ending));
        if has_more_to_say(&response, self.standing) {
            return response;
        }
        match std::mem::take(&mut self.limits) {
            Telling::Fields(limits) => limits.put_into(response.headers_mut()),
            // What another layer of this kind tells is for that layer to decide.
            Telling::Silence if response.extensions().get::<Decision>().is_none() => {
                headers::clear_limits(response.headers_mut());
            }
            Telling::Silence | Telling::Nothing => {}
        }
        if let Some(beside) = self.beside.take() {
            response.extensions_mut().extend(beside.0);
        }
        response
    }
}

impl Beside {
    /// Without any decision yet.
    pub(crate) fn new() -> Self {
        let mut beside = Extensions::new();
        beside.insert(Enforced::default().decision);
        Self(beside)
    }

    /// A copy with this decision, which is taken. The copy knows where it belongs, which to find out
    /// anew costs as much as to make one.
    fn with(&self, decision: &mut Decision) -> Self {
        let mut beside = self.clone();
        if let Some(place) = beside.0.get_mut() {
            decision.move_to(place);
        }
        beside
    }
}

impl Standing {
    #[inline]
    fn of(decision: &Decision) -> Option<Self> {
        let closest = decision.closest()?;
        let (remaining, capacity) = (closest.outcome().remaining, closest.policy().capacity());
        Some(Self { remaining, capacity })
    }

    /// Whether it is closer to exhaustion than another one. Compares without dividing.
    fn is_closer_than(self, other: Self) -> bool {
        u128::from(self.remaining) * u128::from(other.capacity)
            < u128::from(other.remaining) * u128::from(self.capacity)
    }
}

/// By which a layer recognises itself.
fn place<R>(shared: &Arc<Shared<R>>) -> usize {
    Arc::as_ptr(shared).addr()
}

/// The response in place of the inner service's. There is no decision if nobody knows who asks.
#[inline(never)]
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
        if let Some(limits) = limits.and_then(|limits| shared.field_writer.of_limits(limits)) {
            limits.put_into(fields);
        }
        response
    };
    let mut response = match (headers::grpc_content_type(request.headers()), &shared.reject_with) {
        (Some(content_type), _) => with_fields(rejection.to_grpc_response(content_type)),
        (None, Some(respond)) => with_fields(respond(&rejection, &subject.view(request))),
        (None, None) => {
            let violated = rejection.only_violated();
            let form = violated.and_then(|one| shared.rules.form(&subject.matched, one.policy()));
            rejection.to_problem(&shared.field_writer, limits, form)
        }
    };
    if let Some(decision) = decision {
        response.extensions_mut().extend(shared.beside.with(decision).0);
    }
    response
}

/// Where several of these layers are nested, one of them speaks: the one that turned the request
/// away, whose reason would be lost; otherwise the one closer to exhaustion, among equals the outer
/// one.
#[inline]
fn has_more_to_say<B>(response: &Response<B>, outer: Option<Standing>) -> bool {
    let Some(inner) = response.extensions().get::<Decision>() else {
        return false;
    };
    if !inner.is_allowed() {
        return true;
    }
    let (Some(inner), Some(outer)) = (Standing::of(inner), outer) else {
        return inner.closest().is_some();
    };
    // An inner layer that keeps its limits to itself leaves the word to the outer one.
    headers::carry_limits(response.headers()) && inner.is_closer_than(outer)
}
