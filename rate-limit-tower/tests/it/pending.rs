//! The store answers later.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use http::Request;
use rate_limit_core::ManualClock;
use rate_limit_core::conformance::doubles::{Release, SlowRepository};
use rate_limit_tower::{RateLimit, RateLimitLayer, RateLimitPolicy, ResponseFuture};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service};

use crate::support::{Answered, Probe, ProbeFailed, Store, field, is_ready, request, store};

/// A store that answers only when a test lets it, in the order in which answers are asked for.
type Slow = Arc<SlowRepository<Store>>;

fn slow(clock: &ManualClock) -> (Slow, Release) {
    let (slow, release) = SlowRepository::around(store(clock));
    (Arc::new(slow), release)
}

type Response<S, B> = Pin<Box<ResponseFuture<S, B, Slow>>>;

fn limited<S>(clock: &ManualClock, slow: &Slow, inner: S) -> RateLimit<S, Slow> {
    RateLimitLayer::builder(slow.clone())
        .without_fallback()
        .clock(clock.clone())
        .per_ip(RateLimitPolicy::per_day(2).fixed_window())
        .build()
        .unwrap()
        .layer(inner)
}

fn send<S, B>(service: &mut RateLimit<S, Slow>, request: Request<B>) -> Response<S, B>
where
    RateLimit<S, Slow>: Service<Request<B>, Future = ResponseFuture<S, B, Slow>>,
    S: Service<Request<B>>,
{
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(matches!(service.poll_ready(cx), Poll::Ready(Ok(()))));
    Box::pin(service.call(request))
}

fn poll(response: &mut Response<Probe, ()>) -> Poll<Result<Answered, ProbeFailed>> {
    response.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn status(response: &mut Response<Probe, ()>) -> Option<u16> {
    match poll(response) {
        Poll::Ready(answer) => Some(answer.unwrap().status().as_u16()),
        Poll::Pending => None,
    }
}

#[test]
fn requests_are_answered_in_the_order_of_the_stores_answers() {
    let clock = ManualClock::new();
    let (slow, release) = slow(&clock);
    let probe = Probe::default();
    let calls = probe.calls();
    let mut service = limited(&clock, &slow, probe);
    let mut responses: Vec<_> = (0..3).map(|_| send(&mut service, request())).collect();
    assert!(responses.iter_mut().all(|response| poll(response).is_pending()));
    assert_eq!(calls(), 0, "nobody is called before the store has answered");
    release.one();
    assert_eq!(responses.iter_mut().map(status).collect::<Vec<_>>(), [Some(200), None, None]);
    assert_eq!(calls(), 1);
    release.one();
    release.one();
    assert_eq!(status(&mut responses[1]), Some(200));
    assert_eq!(status(&mut responses[2]), Some(429), "the policy allows two");
    assert_eq!(calls(), 2);
}

#[test]
fn the_fields_are_those_of_an_immediate_answer() {
    let clock = ManualClock::new();
    let (slow, release) = slow(&clock);
    let mut service = limited(&clock, &slow, Probe::answering(500));
    let mut response = send(&mut service, request());
    assert!(poll(&mut response).is_pending());
    release.one();
    let Poll::Ready(Ok(answer)) = poll(&mut response) else { panic!("it was answered") };
    assert_eq!(answer.status(), 500);
    assert_eq!(field(answer.headers(), "ratelimit"), r#""default";r=1;t=86400"#);
}

#[test]
fn the_caller_is_woken() {
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let clock = ManualClock::new();
    let (slow, release) = slow(&clock);
    let mut service = limited(&clock, &slow, Probe::default());
    let mut response = send(&mut service, request());
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    assert!(response.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    release.one();
    assert!(flag.0.load(Ordering::SeqCst));
}

#[test]
fn polling_a_completed_response_again_neither_panics_nor_completes() {
    let clock = ManualClock::new();
    let (slow, release) = slow(&clock);
    let mut service = limited(&clock, &slow, Probe::default());
    release.all();
    for expected in [200, 200, 429] {
        let mut response = send(&mut service, request());
        assert_eq!(status(&mut response), Some(expected));
        assert!(poll(&mut response).is_pending());
        assert!(poll(&mut response).is_pending());
    }
}

#[test]
fn an_inner_error_passes_untouched() {
    let clock = ManualClock::new();
    let (slow, release) = slow(&clock);
    let mut service = limited(&clock, &slow, Probe::default());
    release.one();
    let mut failing = request();
    failing.headers_mut().insert("x-please-fail", "1".parse().unwrap());
    let mut response = send(&mut service, failing);
    assert!(matches!(poll(&mut response), Poll::Ready(Err(ProbeFailed(7)))));
}

/// G18: dropped before the first poll, after one, after several, and after the store answered.
#[test]
fn a_dropped_response_calls_nobody_and_leaks_nothing() {
    for polls in 0..4 {
        for answered in [false, true] {
            let clock = ManualClock::new();
            let (slow, release) = slow(&clock);
            let probe = Probe::default();
            let calls = probe.calls();
            // One permit: a leaked one would keep the service from ever being ready again.
            let inner = ConcurrencyLimitLayer::new(1).layer(probe);
            let mut service = limited(&clock, &slow, inner);
            let token = Arc::new(());
            let request = request().map(|()| token.clone());
            let mut response = send(&mut service, request);
            let cx = &mut Context::from_waker(Waker::noop());
            for _ in 0..polls {
                assert!(response.as_mut().poll(cx).is_pending());
            }
            assert!(!is_ready(&mut service), "the permit is in use");
            if answered {
                release.one();
            }
            drop(response);
            assert_eq!(calls(), 0);
            assert_eq!(Arc::strong_count(&token), 1, "the request is gone");
            assert!(is_ready(&mut service), "the permit was returned");
            drop(service);
            assert_eq!(Arc::strong_count(&slow), 1, "nobody holds the store");
        }
    }
}

/// A request that is turned away later returns what readiness had reserved.
#[test]
fn a_late_rejection_returns_the_permit() {
    let clock = ManualClock::new();
    let (slow, release) = slow(&clock);
    let inner = ConcurrencyLimitLayer::new(1).layer(Probe::default());
    let mut service = limited(&clock, &slow, inner);
    let cx = &mut Context::from_waker(Waker::noop());
    for expected in [200, 200, 429, 429, 429] {
        let mut response = send(&mut service, request());
        assert!(response.as_mut().poll(cx).is_pending());
        release.one();
        let Poll::Ready(Ok(answer)) = response.as_mut().poll(cx) else { panic!("answered") };
        assert_eq!(answer.status(), expected);
    }
}
