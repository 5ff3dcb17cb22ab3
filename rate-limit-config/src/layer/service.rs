//! The service: which version decides, who asks, and then the limits.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use rate_limit_tower::{RateLimitBody, ResponseFuture};
use tower_service::Service;

use super::{Live, SharedStore};

/// A service that asks the limits of the configuration in force before it calls the inner service.
/// Made by [`ConfiguredLayer`](crate::ConfiguredLayer).
///
/// What is promised of [`rate_limit_tower::RateLimit`] holds here too: readiness and errors are those
/// of the inner service.
pub struct Configured<S> {
    inner: S,
    live: Arc<Live>,
}

impl<S> Configured<S> {
    pub(super) const fn new(inner: S, live: Arc<Live>) -> Self {
        Self { inner, live }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Configured<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    type Response = Response<RateLimitBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, SharedStore>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // One version decides, whatever is applied meanwhile. The future keeps what it needs of it.
        let version = self.live.current.load();
        #[cfg(feature = "jwt")]
        let request = version.identified(request);
        version.limits.limit(&mut self.inner, request)
    }
}

impl<S: Clone> Clone for Configured<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), live: self.live.clone() }
    }
}

impl<S: fmt::Debug> fmt::Debug for Configured<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configured").field("inner", &self.inner).finish_non_exhaustive()
    }
}
