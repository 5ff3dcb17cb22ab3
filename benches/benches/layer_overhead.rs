//! What does the layer add to a request, beside the bare service and beside `tower_governor` with
//! its header fields?
//!
//! Every service is polled by hand: the inner service and both stores answer at once, so no runtime
//! is measured. The time of the bare service, which makes the request and the response, is the
//! floor; what a layer adds is its time less that floor. The same is measured around a router of
//! axum, whose responses have a field of their own, and which boxes what a layer makes.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::convert::Infallible;
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
use tower::{Layer, Service, service_fn};
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::PeerIpKeyExtractor;

fn request() -> Request<Body> {
    let mut request = Request::new(Body::empty());
    let peer = SocketAddr::from(([192, 0, 2, 1], 50_000));
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

fn bare()
-> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone
{
    service_fn(async |_request: Request<Body>| Ok(Response::new(Body::empty())))
}

/// One request through a service that is always ready and answers at once.
fn serve<S, B>(service: &mut S) -> Response<B>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(())) = service.poll_ready(&mut context) else { panic!("not ready") };
    let mut response = pin!(service.call(request()));
    match response.as_mut().poll(&mut context) {
        Poll::Ready(Ok(response)) => response,
        _ => panic!("did not answer at once"),
    }
}

fn admitted(c: &mut Criterion) {
    let mut group = c.benchmark_group("admitted");
    let mut service = bare();
    group.bench_function("bare", |b| b.iter(|| black_box(serve(&mut service))));

    let policy = RateLimitPolicy::per_second(1_000_000).burst(u64::from(u32::MAX));
    let limit = RateLimitLayer::in_memory().per_ip(policy).build().unwrap();
    let mut service = limit.layer(bare());
    assert_eq!(serve(&mut service).headers().len(), 5, "all fields are on");
    group.bench_function("ours", |b| b.iter(|| black_box(serve(&mut service))));

    let config = GovernorConfigBuilder::default()
        .per_nanosecond(1_000)
        .burst_size(u32::MAX)
        .key_extractor(PeerIpKeyExtractor)
        .use_headers()
        .finish()
        .unwrap();
    let mut service = GovernorLayer::new(config).layer(bare());
    group.bench_function("tower_governor", |b| b.iter(|| black_box(serve(&mut service))));
    group.finish();
}

fn denied(c: &mut Criterion) {
    let mut group = c.benchmark_group("denied");
    let limit = RateLimitLayer::in_memory().per_ip(RateLimitPolicy::per_day(1)).build().unwrap();
    let mut service = limit.layer(bare());
    serve(&mut service);
    assert_eq!(serve(&mut service).status(), 429);
    group.bench_function("ours", |b| b.iter(|| black_box(serve(&mut service))));

    let config = GovernorConfigBuilder::default()
        .per_second(86_400)
        .burst_size(1)
        .key_extractor(PeerIpKeyExtractor)
        .use_headers()
        .finish()
        .unwrap();
    let mut service = GovernorLayer::new(config).layer(bare());
    serve(&mut service);
    assert_eq!(serve(&mut service).status(), 429);
    group.bench_function("tower_governor", |b| b.iter(|| black_box(serve(&mut service))));
    group.finish();
}

fn in_axum(c: &mut Criterion) {
    let mut group = c.benchmark_group("admitted in axum");
    let router = || Router::new().route("/", get(async || "hello"));
    let mut service = router();
    group.bench_function("bare", |b| b.iter(|| black_box(serve(&mut service))));

    let policy = RateLimitPolicy::per_second(1_000_000).burst(u64::from(u32::MAX));
    let limit = RateLimitLayer::in_memory().per_ip(policy).build().unwrap();
    let mut service = router().layer(limit);
    assert_eq!(serve(&mut service).headers().len(), 7, "all fields are on, beside two of axum's");
    group.bench_function("ours", |b| b.iter(|| black_box(serve(&mut service))));

    let config = GovernorConfigBuilder::default()
        .per_nanosecond(1_000)
        .burst_size(u32::MAX)
        .key_extractor(PeerIpKeyExtractor)
        .use_headers()
        .finish()
        .unwrap();
    let mut service = router().layer(GovernorLayer::new(config));
    group.bench_function("tower_governor", |b| b.iter(|| black_box(serve(&mut service))));
    group.finish();
}

criterion_group!(benches, admitted, denied, in_axum);
criterion_main!(benches);
