//! The service that is called is the one that was ready (T04).

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rate_limit_core::ManualClock;
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShed;
use tower::{Layer, Service, ServiceExt};

use crate::support::{Probe, Store, ask, is_ready, limit, passing, request};

fn ten(clock: &ManualClock) -> RateLimitLayer<Store> {
    limit(clock).per_ip(RateLimitPolicy::per_day(10).fixed_window()).build().unwrap()
}

/// The probe panics if it is called without having been ready.
#[test]
fn the_ready_service_is_called() {
    let mut service = ten(&ManualClock::new()).layer(Probe::default());
    assert_eq!(passing(&mut service, "192.0.2.1", 20), 10);
    let mut clone = service.clone();
    assert_eq!(passing(&mut clone, "192.0.2.2", 20), 10);
}

#[test]
fn being_ready_takes_no_units_and_does_not_go_stale() {
    let clock = ManualClock::new();
    let mut service = ten(&clock).layer(Probe::default());
    for _ in 0..1_000 {
        assert!(is_ready(&mut service));
    }
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(passing(&mut service, "192.0.2.1", 20), 10);
}

#[test]
fn the_inner_services_readiness_is_forwarded() {
    let inner = ConcurrencyLimitLayer::new(1).layer(Probe::default());
    let mut service = ten(&ManualClock::new()).layer(inner);
    let mut other = service.clone();
    assert!(is_ready(&mut service));
    assert!(!is_ready(&mut other), "the only permit is taken");
    drop(service);
    assert!(is_ready(&mut other));
}

#[test]
fn around_a_concurrency_limit() {
    let inner = ConcurrencyLimitLayer::new(1).layer(Probe::default());
    let mut service = ten(&ManualClock::new()).layer(inner);
    assert_eq!(passing(&mut service, "192.0.2.1", 30), 10);
    assert_eq!(passing(&mut service, "192.0.2.2", 30), 10, "rejections keep no permit for long");
}

#[test]
fn around_a_load_shedder() {
    let inner = LoadShed::new(ConcurrencyLimitLayer::new(1).layer(Probe::default()));
    let mut service = ten(&ManualClock::new()).layer(inner);
    let cx = &mut Context::from_waker(Waker::noop());
    for expected in [200; 10].into_iter().chain([429; 10]) {
        assert!(is_ready(&mut service));
        let mut response = std::pin::pin!(service.call(request()));
        let Poll::Ready(Ok(answer)) = response.as_mut().poll(cx) else { panic!("at once") };
        assert_eq!(answer.status(), expected);
    }
}

#[tokio::test]
async fn around_a_buffer() {
    let inner = Buffer::new(Probe::default(), 1);
    let mut service = ten(&ManualClock::new()).layer(inner);
    for expected in [200; 10].into_iter().chain([429; 10]) {
        let response = service.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(response.status(), expected);
    }
}

#[tokio::test]
async fn inside_a_buffer() {
    let limited = ten(&ManualClock::new()).layer(Probe::default());
    let mut service = Buffer::new(limited, 4);
    for expected in [200; 10].into_iter().chain([429; 3]) {
        let response = service.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(response.status(), expected);
    }
}

#[test]
fn a_service_is_usable_after_a_rejection() {
    let mut service = ten(&ManualClock::new()).layer(Probe::default());
    assert_eq!(passing(&mut service, "192.0.2.1", 11), 10);
    assert_eq!(ask(&mut service).status(), 429);
    assert_eq!(passing(&mut service, "192.0.2.9", 1), 1);
}
