//! The response future: waits for the store if it must, then for the inner service.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use rate_limit_core::{Enforced, PendingDecision};
use tower_service::Service;

use crate::body::RateLimitBody;
use crate::decided::Decided;
use crate::layer::Shared;

pin_project! {
    /// The response of a [`RateLimit`](crate::RateLimit) service.
    ///
    /// Dropping it at any moment is fine: before the store has answered, the inner service was not
    /// called; afterwards, dropping drops the inner service's future. Once it has completed, polling
    /// it again never completes.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, R>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[project_replace = TakenState]
    enum State<S, B, R>
    where
        S: Service<Request<B>>,
    {
        /// The store is still working. Keeps the service that is ready, and what to call it with.
        Deciding {
            decision: PendingDecision,
            ready: S,
            request: Request<B>,
            shared: Arc<Shared<R>>,
        },
        /// The inner service is working.
        Forwarding { #[pin] response: S::Future, decided: Decided<R> },
        /// The inner service will not be called.
        Rejecting { decided: Decided<R> },
        /// The response was handed out.
        Done,
    }
}

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<B>>,
{
    /// The store has answered: `ready` is called at once, or not at all.
    pub(crate) fn decided(
        enforced: Enforced,
        ready: &mut S,
        request: Request<B>,
        shared: Arc<Shared<R>>,
    ) -> Self {
        Self { state: State::decided(enforced, ready, request, shared) }
    }

    /// The store is still working: `ready` is kept until it has answered.
    pub(crate) const fn deciding(
        decision: PendingDecision,
        ready: S,
        request: Request<B>,
        shared: Arc<Shared<R>>,
    ) -> Self {
        Self { state: State::Deciding { decision, ready, request, shared } }
    }
}

impl<S, B, R> State<S, B, R>
where
    S: Service<Request<B>>,
{
    fn decided(
        enforced: Enforced,
        ready: &mut S,
        request: Request<B>,
        shared: Arc<Shared<R>>,
    ) -> Self {
        let decided = Decided::new(enforced, shared);
        if decided.lets_pass() {
            Self::Forwarding { response: ready.call(request), decided }
        } else {
            Self::Rejecting { decided }
        }
    }
}

impl<S, B, ResBody, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Output = Result<Response<RateLimitBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Deciding { decision, .. } => {
                    let enforced = ready!(decision.as_mut().poll(cx));
                    if let TakenState::Deciding { mut ready, request, shared, .. } =
                        take(&mut state)
                    {
                        state.set(State::decided(enforced, &mut ready, request, shared));
                    }
                }
                StateProjection::Forwarding { response, .. } => {
                    let answer = ready!(response.poll(cx));
                    if let TakenState::Forwarding { decided, .. } = take(&mut state) {
                        return Poll::Ready(answer.map(|response| decided.complete(response)));
                    }
                }
                StateProjection::Rejecting { .. } => {
                    if let TakenState::Rejecting { decided } = take(&mut state) {
                        return Poll::Ready(Ok(decided.reject()));
                    }
                }
                StateProjection::Done => return Poll::Pending,
            }
        }
    }
}

/// Takes what the state holds and leaves [`State::Done`], so that nothing is used twice even if the
/// inner service panics.
fn take<S, B, R>(state: &mut Pin<&mut State<S, B, R>>) -> TakenState<S, B, R>
where
    S: Service<Request<B>>,
{
    state.as_mut().project_replace(State::Done)
}

impl<S, B, R> fmt::Debug for ResponseFuture<S, B, R>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Deciding { .. } => "ResponseFuture(deciding)",
            State::Forwarding { .. } => "ResponseFuture(forwarding)",
            State::Rejecting { .. } => "ResponseFuture(rejecting)",
            State::Done => "ResponseFuture(done)",
        })
    }
}
