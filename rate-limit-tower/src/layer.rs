//! The layer: what all services made by it share.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use rate_limit_core::{EnforceRateLimit, RateLimitRepository};
use tower_layer::Layer;
use tower_service::Service;

use crate::address::{ClientAddress, Resolved};
use crate::builder::RateLimitLayerBuilder;
use crate::decided::Beside;
use crate::diagnosis::Reported;
use crate::double_counting::Marking;
use crate::exposure::Exposure;
use crate::future::ResponseFuture;
use crate::headers::FieldWriter;
use crate::jitter::RetryJitter;
use crate::rejection::{ProblemTypes, Rejection};
use crate::request_view::RequestView;
use crate::rules::{Matched, Rules};
use crate::service::{self, RateLimit};
use crate::store_health::StoreHealth;
use crate::telemetry::Telemetry;
use crate::time_of_day::TimeOfDay;

/// Limits how often clients may call the service it wraps.
///
/// All services made by one layer and its clones share their buckets, however often it is applied:
/// axum applies a layer once per route, and the limits still hold for all routes together. Use two
/// layers for limits that count separately.
///
/// # When a request is turned away
///
/// 1. Its client is blocked, by [list](RateLimitLayerBuilder::access) or by
///    [rule](crate::Rule::block), and not exempt: 403.
/// 2. Nobody knows who asks, and a rule [demands it](crate::MissingIdentity::Reject): 400.
/// 3. A policy says no: 429, with `Retry-After` unless waiting does not help.
/// 4. The store does not answer, and the [failure mode](crate::FailureMode) of a policy does not
///    let the request pass: 503.
///
/// The body of each of these is a problem document (RFC 9457). A gRPC request, recognised by its
/// content type, gets status 200 and one of gRPC's own: 7, 16, 8 and 14. All other requests pass.
///
/// # What a response says
///
/// The response of the inner service, whatever its status, gets the fields `X-RateLimit-Limit`,
/// `X-RateLimit-Remaining`, `X-RateLimit-Reset`, `RateLimit-Policy` and `RateLimit` in place of any
/// it had; a `Retry-After` of its own stays. Where layers are nested, the fields of that layer stay
/// that is closer to exhaustion or turned the request away. Requests that are exempt, or that no
/// rule applies to, pass without any fields.
///
/// Outer layers find the [`Decision`](crate::Decision) in the extensions of every response, unless
/// the layer was built [without](RateLimitLayerBuilder::without_decision_in_responses).
///
/// # Example: one limit per address and one for everybody together
///
/// ```
/// # #[cfg(feature = "memory")] {
/// use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
///
/// let limit = RateLimitLayer::in_memory()
///     .per_ip(RateLimitPolicy::per_minute(100))
///     .global(RateLimitPolicy::per_second(1_000).named("system"))
///     .build()?;
/// # }
/// # Ok::<(), rate_limit_tower::LayerError>(())
/// ```
pub struct RateLimitLayer<R> {
    pub(crate) shared: Arc<Shared<R>>,
}

/// What all services made by one layer share.
pub(crate) struct Shared<R> {
    pub(crate) enforce: EnforceRateLimit<R>,
    pub(crate) rules: Rules,
    pub(crate) client_address: ClientAddress,
    /// Whether a request without an address is a mistake.
    pub(crate) needs_address: bool,
    pub(crate) reported: Reported,
    pub(crate) marking: Marking,
    pub(crate) store_health: StoreHealth,
    pub(crate) telemetry: Telemetry,
    pub(crate) time_of_day: TimeOfDay,
    pub(crate) field_writer: FieldWriter,
    pub(crate) exposure: Exposure,
    pub(crate) jitter: Option<RetryJitter>,
    pub(crate) problem_types: ProblemTypes,
    pub(crate) documentation_url: Option<Box<str>>,
    pub(crate) reject_with: Option<Box<RejectWith>>,
    pub(crate) gives_handles: bool,
    /// How a decision stands beside a response.
    pub(crate) beside: Beside,
    /// Whether it stands there also if the request passes.
    pub(crate) tells_outer_layers: bool,
}

/// What a layer has said aloud already, for the one that succeeds it.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) reported: Reported,
    pub(crate) store_health: StoreHealth,
}

/// Writes the response to a request that does not pass.
pub(crate) type RejectWith =
    dyn Fn(&Rejection<'_>, &RequestView<'_>) -> Response<Bytes> + Send + Sync;

impl<R> Shared<R> {
    /// Says aloud, once, if clients cannot be told apart by their addresses.
    pub(crate) fn report(&self, client: Resolved) {
        if client.address.is_none() {
            self.reported.missing_peer();
        }
        self.reported.noticed(client.noticed);
    }

    /// How much may be said: as little as the rule wants that wants least.
    #[inline]
    pub(crate) fn exposure(&self, matched: &Matched) -> Exposure {
        if !self.rules.have_exposures {
            return self.exposure;
        }
        let exposures = self.rules.applying(matched).map(|(_, rule)| rule.asks.exposure);
        exposures.map(|exposure| exposure.unwrap_or(self.exposure)).min().unwrap_or(self.exposure)
    }

    /// Where the client can read on: what the first rule says that says anything.
    pub(crate) fn documentation_url(&self, matched: &Matched) -> Option<&str> {
        let mut rules = self.rules.applying(matched);
        let url = rules.find_map(|(_, rule)| rule.asks.documentation_url.as_deref());
        url.or(self.documentation_url.as_deref())
    }
}

impl<R: RateLimitRepository + 'static> RateLimitLayer<R> {
    /// Begins to build a layer on any store. [`Arc`]`<dyn RateLimitRepository>` is one too, for
    /// programs that choose their store when they start.
    pub fn builder(repository: R) -> RateLimitLayerBuilder<R> {
        RateLimitLayerBuilder::new(repository)
    }

    /// Limits one request in front of `inner`, which the caller has polled ready.
    ///
    /// This is what [`RateLimit`] does with every request. It is for services that choose their
    /// layer anew for each one, because their limits change while they run: the layer that was asked
    /// finishes the request, whichever is asked for the next. Let each layer
    /// [succeed](RateLimitLayerBuilder::succeeding) the one before it.
    ///
    /// # Example: limits that are exchanged under load
    ///
    /// ```
    /// # #[cfg(feature = "memory")] {
    /// use std::sync::{Arc, PoisonError, RwLock};
    /// use std::task::{Context, Poll};
    ///
    /// use http::{Request, Response};
    /// use rate_limit_tower::{MemoryRepository, RateLimitBody, RateLimitLayer, ResponseFuture};
    /// use tower::Service;
    ///
    /// #[derive(Clone)]
    /// struct Exchangeable<S> {
    ///     current: Arc<RwLock<RateLimitLayer<Arc<MemoryRepository>>>>,
    ///     inner: S,
    /// }
    ///
    /// impl<S, B, Answer> Service<Request<B>> for Exchangeable<S>
    /// where
    ///     S: Service<Request<B>, Response = Response<Answer>> + Clone,
    /// {
    ///     type Response = Response<RateLimitBody<Answer>>;
    ///     type Error = S::Error;
    ///     type Future = ResponseFuture<S, B, Arc<MemoryRepository>>;
    ///
    ///     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
    ///         self.inner.poll_ready(cx)
    ///     }
    ///
    ///     fn call(&mut self, request: Request<B>) -> Self::Future {
    ///         let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
    ///         current.limit(&mut self.inner, request)
    ///     }
    /// }
    /// # }
    /// ```
    pub fn limit<S, B, ResBody>(
        &self,
        inner: &mut S,
        request: Request<B>,
    ) -> ResponseFuture<S, B, R>
    where
        S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    {
        service::limit(&self.shared, inner, request)
    }
}

impl<R> RateLimitLayer<R> {
    pub(crate) fn new(shared: Shared<R>) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// What the layer has said aloud already.
    pub(crate) fn said(&self) -> Said {
        Said {
            reported: self.shared.reported.clone(),
            store_health: self.shared.store_health.clone(),
        }
    }
}

impl<S, R> Layer<S> for RateLimitLayer<R> {
    type Service = RateLimit<S, R>;

    fn layer(&self, inner: S) -> RateLimit<S, R> {
        RateLimit::new(inner, self.shared.clone())
    }
}

impl<R> Clone for RateLimitLayer<R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<R> fmt::Debug for RateLimitLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").field("rules", &self.shared.rules).finish_non_exhaustive()
    }
}
