//! The response future: waits for the store if it must, then for the inner service.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use rate_limit_core::{RateLimitRepository, Settle};
use tower_service::Service;

use crate::asking::{Answered, Subject, Waiting};
use crate::body::RateLimitBody;
use crate::decided::{Decided, Following};
use crate::layer::Shared;
use crate::settlement::Settlement;

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
        /// Somebody is still being asked. Boxed, because it is most of what a future can be, and those
        /// that wait for nobody are moved more often than once: frameworks box them as well.
        Waiting { asked: Box<Asked<S, B, R>> },
        /// The inner service is working.
        Forwarding { #[pin] response: S::Future, decided: Decided<R> },
        /// The store is told what the request has cost; nobody sees the response before.
        Settling {
            settle: Settle,
            response: S::Response,
            decided: Decided<R>,
            shared: Arc<Shared<R>>,
        },
        /// The inner service will not be called.
        Rejecting { response: Response<Bytes> },
        /// The response was handed out.
        Done,
    }
}

/// Who is being asked, the service that is ready, and what to call it with.
struct Asked<S, B, R> {
    waiting: Waiting,
    subject: Subject,
    ready: S,
    request: Request<B>,
    shared: Arc<Shared<R>>,
}

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<B>>,
    R: RateLimitRepository + 'static,
{
    /// The inner service works on the request.
    #[inline]
    pub(crate) const fn forwarding(response: S::Future, decided: Decided<R>) -> Self {
        Self { state: State::Forwarding { response, decided } }
    }

    /// The inner service was not called.
    #[inline]
    pub(crate) const fn rejecting(response: Response<Bytes>) -> Self {
        Self { state: State::Rejecting { response } }
    }

    /// Somebody is still being asked: `ready` is kept until the answer is there.
    pub(crate) fn waiting(
        waiting: Waiting,
        subject: Subject,
        ready: S,
        request: Request<B>,
        shared: Arc<Shared<R>>,
    ) -> Self {
        let asked = Box::new(Asked { waiting, subject, ready, request, shared });
        Self { state: State::Waiting { asked } }
    }
}

impl<S, B, R> State<S, B, R>
where
    S: Service<Request<B>>,
    R: RateLimitRepository + 'static,
{
    /// What was waited for is known: `ready` is called, or not at all.
    fn answered(answered: &mut Answered, asked: Asked<S, B, R>) -> Self {
        let Asked { ref subject, mut ready, mut request, ref shared, .. } = asked;
        match Following::of(answered, subject, &request, shared) {
            Following::Pass(mut passing) => {
                passing.hand_over(shared, request.extensions_mut());
                let response = ready.call(request);
                Self::Forwarding { response, decided: passing.on_its_way(&subject.matched, shared) }
            }
            Following::Reject(response) => Self::Rejecting { response },
        }
    }
}

impl<S, B, ResBody, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    R: RateLimitRepository + 'static,
{
    type Output = Result<Response<RateLimitBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Waiting { asked } => {
                    let mut answered = ready!(Pin::new(&mut asked.waiting).poll(cx));
                    if let TakenState::Waiting { asked } = take(&mut state) {
                        state.set(State::answered(&mut answered, *asked));
                    }
                }
                StateProjection::Forwarding { response, decided } => {
                    let answer = ready!(response.poll(cx));
                    let ended = match answer {
                        Ok(response) => match decided.settle(&response) {
                            Settlement::Now(settle, shared) => {
                                if let TakenState::Forwarding { decided, .. } = take(&mut state) {
                                    state.set(State::Settling {
                                        settle,
                                        response,
                                        decided,
                                        shared,
                                    });
                                }
                                continue;
                            }
                            Settlement::AtEnd(ending) => {
                                Ok(decided.complete(response, Some(ending)))
                            }
                            Settlement::Nothing => Ok(decided.complete(response, None)),
                        },
                        Err(error) => Err(error),
                    };
                    // Drops the inner service's future before anybody sees the response.
                    state.set(State::Done);
                    return Poll::Ready(ended);
                }
                StateProjection::Settling { settle, .. } => {
                    let settled = ready!(Pin::new(settle).poll(cx));
                    if let TakenState::Settling { response, mut decided, shared, .. } =
                        take(&mut state)
                    {
                        // Whether the store could carry it out changes nothing for the client.
                        if let Err(failure) = settled {
                            shared.telemetry.not_settled(&failure);
                        }
                        return Poll::Ready(Ok(decided.complete(response, None)));
                    }
                }
                StateProjection::Rejecting { .. } => {
                    if let TakenState::Rejecting { response } = take(&mut state) {
                        return Poll::Ready(Ok(response.map(RateLimitBody::rejection)));
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
            State::Waiting { .. } => "ResponseFuture(waiting)",
            State::Forwarding { .. } => "ResponseFuture(forwarding)",
            State::Settling { .. } => "ResponseFuture(settling)",
            State::Rejecting { .. } => "ResponseFuture(rejecting)",
            State::Done => "ResponseFuture(done)",
        })
    }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use std::convert::Infallible;
    use std::future::Ready;

    use rate_limit_memory::MemoryRepository;
    use tower::util::ServiceFn;

    use super::*;

    /// A request of 224 bytes and what is known of it lie in a box while somebody is waited for. What
    /// is left is what the response will say, and the response of a service that works.
    #[test]
    fn a_future_has_no_room_for_what_only_a_wait_needs() {
        type Inner = ServiceFn<fn(Request<()>) -> Ready<Result<Response<()>, Infallible>>>;
        let bytes = size_of::<ResponseFuture<Inner, (), MemoryRepository>>();
        let response = size_of::<Response<()>>();
        assert!(bytes <= 2 * response + 200, "{bytes} bytes");
    }
}
