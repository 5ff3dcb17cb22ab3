//! The services whose cost is compared: bare, and behind each of the layers.
//!
//! Every service is polled by hand: the inner service and both stores answer at once, so no runtime
//! is measured. Each gets the same requests, from sixteen clients in turn, so that the numbers in
//! the fields are those of an ordinary limit and still nobody is turned away however fast the
//! machine is. Both layers decide per address of the peer, which both find where `axum::serve`
//! records it, and both are as they are after a call of the builder for each thing that is said
//! below, nothing else: the stores, clocks and hashers are the defaults.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use governor::middleware::StateInformationMiddleware;
use http::{Request, Response};
use rate_limit_memory::MemoryRepository;
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
use tower::{Service, service_fn};
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::PeerIpKeyExtractor;

#[path = "least.rs"]
mod least;

use least::Least;

/// How many units come back per second, and how many there are at most.
const RATE: u32 = 1_000_000;
const BURST: u32 = 1_000;

/// Requests from sixteen clients in turn.
#[derive(Default)]
pub(crate) struct Requests {
    sent: u8,
}

impl Requests {
    pub(crate) fn next(&mut self) -> Request<Body> {
        self.sent = (self.sent + 1) % 16;
        let mut request = Request::new(Body::empty());
        let peer = SocketAddr::from(([192, 0, 2, self.sent], 50_000));
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    }
}

/// Answers with nothing: the least that there is to add to.
pub(crate) fn bare()
-> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone
{
    service_fn(async |_request: Request<Body>| Ok(Response::new(Body::empty())))
}

/// Answers with a text, a type and a length, through axum's router, which boxes what a layer makes.
pub(crate) fn router() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// Ours, which nobody exceeds.
pub(crate) fn ours() -> RateLimitLayer<MemoryRepository> {
    let policy = RateLimitPolicy::per_second(RATE.into()).burst(BURST.into());
    RateLimitLayer::in_memory().per_ip(policy).build().unwrap()
}

/// Ours, which nobody exceeds, and which like `tower_governor` hands nobody its decision.
pub(crate) fn ours_silent() -> RateLimitLayer<MemoryRepository> {
    let policy = RateLimitPolicy::per_second(RATE.into()).burst(BURST.into());
    let layer = RateLimitLayer::in_memory().per_ip(policy);
    layer.without_decision_in_responses().build().unwrap()
}

/// Ours, which everybody has exceeded after the first request.
pub(crate) fn ours_exceeded() -> RateLimitLayer<MemoryRepository> {
    RateLimitLayer::in_memory().per_ip(RateLimitPolicy::per_day(1)).build().unwrap()
}

type Theirs = GovernorLayer<PeerIpKeyExtractor, StateInformationMiddleware, Body>;

/// `tower_governor` with its header fields, which nobody exceeds.
pub(crate) fn theirs() -> Theirs {
    let config = GovernorConfigBuilder::default()
        .per_nanosecond(1_000_000_000 / u64::from(RATE))
        .burst_size(BURST)
        .use_headers()
        .finish();
    GovernorLayer::new(config.unwrap())
}

/// `tower_governor` with its header fields, which everybody has exceeded after the first request.
pub(crate) fn theirs_exceeded() -> Theirs {
    let config =
        GovernorConfigBuilder::default().per_second(86_400).burst_size(1).use_headers().finish();
    GovernorLayer::new(config.unwrap())
}

/// The least that a layer with five fields can do, under the same limit.
pub(crate) fn least<S>(inner: S) -> Least<S> {
    let policy = RateLimitPolicy::per_second(RATE.into()).burst(BURST.into());
    Least::new(inner, policy.build().unwrap())
}

/// One request through a service that is always ready and answers at once.
pub(crate) fn serve<S, B>(service: &mut S, request: Request<Body>) -> Response<B>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(())) = service.poll_ready(&mut context) else { panic!("not ready") };
    let mut response = pin!(service.call(request));
    match response.as_mut().poll(&mut context) {
        Poll::Ready(Ok(response)) => response,
        _ => panic!("did not answer at once"),
    }
}

/// Sends the first request of each client.
pub(crate) fn warm_up<S, B>(service: &mut S)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let mut requests = Requests::default();
    for _ in 0..32 {
        serve(service, requests.next());
    }
}
