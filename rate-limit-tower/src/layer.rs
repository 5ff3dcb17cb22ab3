//! The layer: what all services made by it share.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use rate_limit_core::{EnforceRateLimit, RateLimitRepository};
use tower_layer::Layer;

use crate::builder::RateLimitLayerBuilder;
use crate::diagnosis::MissingPeer;
use crate::rules::Rules;
use crate::service::RateLimit;
use crate::time_of_day::TimeOfDay;

/// Limits how often clients may call the service it wraps.
///
/// All services made by one layer and its clones share their buckets, however often it is applied:
/// axum applies a layer once per route, and the limits still hold for all routes together. Use two
/// layers for limits that count separately.
///
/// # When a request is turned away
///
/// 1. Its client is on a list of the [blocked](RateLimitLayerBuilder::access): 403.
/// 2. A policy says no: 429, with `Retry-After` unless waiting does not help.
/// 3. The store does not answer, and the [failure mode](crate::FailureMode) of a policy does not
///    let the request pass: 503.
///
/// The body of each of these is a problem document (RFC 9457). All other requests pass, and the
/// response of the inner service, whatever its status, gets the fields `X-RateLimit-Limit`,
/// `X-RateLimit-Remaining`, `X-RateLimit-Reset`, `RateLimit-Policy` and `RateLimit` in place of any
/// it had; a `Retry-After` of its own stays. Where layers are nested and the inner one turned the
/// request away, its fields stay. Requests of exempt clients pass without any fields.
///
/// Outer layers find the decision in the extensions of every response, as
/// `Arc<`[`Decision`](crate::Decision)`>`.
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
    shared: Arc<Shared<R>>,
}

/// What all services made by one layer share.
pub(crate) struct Shared<R> {
    pub(crate) enforce: EnforceRateLimit<R>,
    pub(crate) rules: Rules,
    /// Whether a request without an address is a mistake.
    pub(crate) needs_peer: bool,
    pub(crate) missing_peer: MissingPeer,
    pub(crate) time_of_day: TimeOfDay,
    /// The policies never change, so the field that lists them is rendered once.
    pub(crate) policy_list: Option<HeaderValue>,
}

impl<R: RateLimitRepository + 'static> RateLimitLayer<R> {
    /// Begins to build a layer on any store. [`Arc`]`<dyn RateLimitRepository>` is one too, for
    /// programs that choose their store when they start.
    pub fn builder(repository: R) -> RateLimitLayerBuilder<R> {
        RateLimitLayerBuilder::new(repository)
    }
}

impl<R> RateLimitLayer<R> {
    pub(crate) fn new(shared: Shared<R>) -> Self {
        Self { shared: Arc::new(shared) }
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
