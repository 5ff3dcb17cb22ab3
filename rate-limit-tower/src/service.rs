//! The middleware itself. The whole order of steps reads top to bottom in [`limit`].

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use rate_limit_core::RateLimitRepository;
use tower_service::Service;

use crate::asking::{Answered, Subject};
use crate::body::RateLimitBody;
use crate::decided::Following;
use crate::future::ResponseFuture;
use crate::layer::Shared;
use crate::peer;
use crate::request_view::RequestView;

/// A service that asks the rate limits before it calls the inner service. Made by
/// [`RateLimitLayer`](crate::RateLimitLayer).
///
/// Readiness is that of the inner service. Asking for it takes no units, so a caller that gives up
/// waits for nothing it was charged for. Errors are those of the inner service, and no others.
///
/// A request that is turned away leaves the inner service ready and uncalled. What readiness
/// reserved there, such as a permit of a concurrency limit, is released with this instance, so put
/// the rate limit outside of such limits.
pub struct RateLimit<S, R> {
    inner: S,
    shared: Arc<Shared<R>>,
}

impl<S, R> RateLimit<S, R> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared<R>>) -> Self {
        Self { inner, shared }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for RateLimit<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: RateLimitRepository + 'static,
{
    type Response = Response<RateLimitBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        limit(&self.shared, &mut self.inner, request)
    }
}

/// Limits one request in front of `inner`, which is ready.
#[inline]
pub(crate) fn limit<S, R, ReqBody, ResBody>(
    shared: &Arc<Shared<R>>,
    inner: &mut S,
    mut request: Request<ReqBody>,
) -> ResponseFuture<S, ReqBody, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: RateLimitRepository + 'static,
{
    // Who asks?
    let peer = peer::address(request.extensions());
    let client = shared.client_address.resolve(peer, request.headers());
    if shared.needs_address {
        shared.report(client);
    }
    let view = RequestView::of(&request, client.address);

    // Which rules apply?
    let matched = shared.rules.matching(&view);

    // What do they charge, and does it pass?
    let mut answered = Answered::default();
    let waiting = shared.ask(&matched, &view, &mut answered);

    // If that is known at once, the service that is ready is called right here. Otherwise it
    // waits in the future, and a clone, which is not ready, takes its place.
    let subject = Subject { client_address: client.address, matched };
    let Some(waiting) = waiting else {
        return match Following::of(&mut answered, &subject, &request, shared) {
            Following::Pass(mut passing) => {
                passing.hand_over(shared, request.extensions_mut());
                let response = inner.call(request);
                ResponseFuture::forwarding(response, passing.on_its_way(&subject.matched, shared))
            }
            Following::Reject(response) => ResponseFuture::rejecting(response),
        };
    };
    let not_ready = inner.clone();
    let ready = std::mem::replace(inner, not_ready);
    ResponseFuture::waiting(waiting, subject, ready, request, shared.clone())
}

impl<S: Clone, R> Clone for RateLimit<S, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: self.shared.clone() }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for RateLimit<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("inner", &self.inner).finish_non_exhaustive()
    }
}
