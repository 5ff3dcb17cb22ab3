//! What a request costs in allocations, counted by the allocator itself.
//!
//! | from | to | allocations |
//! | --- | --- | --- |
//! | the call of the layer | the call of the inner service | 0 |
//! | the inner service's response | the response of the layer | 6 with all fields, 3 without |
//! | the call of the layer | the response to a request that is turned away for a day | 9 |
//!
//! The second line is for a response without any header of its own: two for the table of header
//! fields, one for the second at which the limit is reset, and three for the decision beside the
//! response, which can be spared. The third line has the body besides, and two values that depend
//! on how long the client has to wait; waits of less than three hours are there already, which
//! saves one. Values do not share memory: counting who shares it takes longer than to allocate.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use rate_limit_core::ManualClock;
use rate_limit_memory::MemoryRepository;
use rate_limit_tower::{
    Exposure, Key, PeerAddress, RateLimitLayer, RateLimitLayerBuilder, RateLimitPolicy, Rule,
};
use tower::{Layer, Service};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Notes the count when it is called, and cannot be cloned unnoticed.
struct Inner {
    called_at: Arc<std::sync::atomic::AtomicU64>,
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        panic!("a store that answers at once needs no second inner service");
    }
}

impl Service<Request<()>> for Inner {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        self.called_at.store(ALLOCATIONS.get(), std::sync::atomic::Ordering::Relaxed);
        ready(Ok(Response::new(())))
    }
}

type Builder = RateLimitLayerBuilder<MemoryRepository<ManualClock>>;

/// Allocations up to the call of the inner service, and after it, for a client that has been told
/// before what it is told now.
fn allocations(build: impl FnOnce(Builder) -> Builder) -> (u64, u64) {
    let called_at = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let clock = ManualClock::new();
    let layer = build(limit(&clock)).build().unwrap();
    let mut service = layer.layer(Inner { called_at: called_at.clone() });
    let mut measure = || {
        // Just as long as it takes until one unit is back, and less than a second, since one request
        // per second is marked to notice layers that count twice.
        clock.advance(Duration::from_millis(600));
        let mut request = Request::new(());
        *request.uri_mut() = "/users/1?x=1".parse().unwrap();
        request.extensions_mut().insert(PeerAddress(([192, 0, 2, 1], 1).into()));
        request.headers_mut().insert("x-tenant", "acme".parse().unwrap());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(service.poll_ready(cx).is_ready());
        let before = ALLOCATIONS.get();
        let answer = pin!(service.call(request)).poll(cx);
        let after = ALLOCATIONS.get();
        assert!(matches!(answer, Poll::Ready(Ok(response)) if response.status() == 200));
        let called_at = called_at.load(std::sync::atomic::Ordering::Relaxed);
        (called_at - before, after - called_at)
    };
    measure();
    measure()
}

fn limit(clock: &ManualClock) -> Builder {
    let store = MemoryRepository::builder().clock(clock.clone()).build().unwrap();
    RateLimitLayer::builder(store).without_fallback().clock(clock.clone())
}

fn policy(name: &str) -> rate_limit_tower::RateLimitPolicyBuilder {
    RateLimitPolicy::per_minute(100).named(name)
}

#[test]
fn one_policy() {
    assert_eq!(allocations(|limit| limit.per_ip(policy("a"))), (0, 6));
}

#[test]
fn four_policies() {
    let four = |limit: Builder| {
        let three = limit.per_ip(policy("a")).per_ip(policy("b")).global(policy("c"));
        three.global(policy("d"))
    };
    assert_eq!(allocations(four), (0, 6));
}

#[test]
fn a_rule_with_a_path_and_a_key_in_a_header() {
    let rule = Rule::new("users").path("/users/{id}").key(Key::header("x-tenant"));
    assert_eq!(allocations(|limit| limit.rule(rule.policy(policy("a")))), (0, 6));
}

#[test]
fn an_api_key() {
    let rule = Rule::new("users").key(Key::api_key("x-tenant"));
    assert_eq!(allocations(|limit| limit.rule(rule.policy(policy("a")))), (0, 6));
}

#[test]
fn without_the_decision_in_responses() {
    let silent = |limit: Builder| limit.per_ip(policy("a")).without_decision_in_responses();
    assert_eq!(allocations(silent), (0, 3));
}

#[test]
fn turned_away() {
    for policies in [1, 3] {
        let mut builder = limit(&ManualClock::new());
        for n in 0..policies {
            builder = builder.per_ip(RateLimitPolicy::per_day(1).named(format!("policy-{n}")));
        }
        let inner = Inner { called_at: Arc::default() };
        let mut service = builder.build().unwrap().layer(inner);
        let mut statuses_and_counts = || {
            let mut request = Request::new(());
            request.extensions_mut().insert(PeerAddress(([192, 0, 2, 1], 1).into()));
            let cx = &mut Context::from_waker(Waker::noop());
            let before = ALLOCATIONS.get();
            let answer = pin!(service.call(request)).poll(cx);
            let count = ALLOCATIONS.get() - before;
            let Poll::Ready(Ok(response)) = answer else { panic!("no answer") };
            (response.status().as_u16(), count)
        };
        assert_eq!(statuses_and_counts().0, 200);
        assert_eq!(statuses_and_counts().0, 429, "what all denials say is written once");
        assert_eq!(statuses_and_counts(), (429, 9), "{policies} policies");
    }
}

#[test]
fn without_fields() {
    let mute = |limit: Builder| limit.per_ip(policy("a")).exposure(Exposure::None);
    assert_eq!(allocations(mute), (0, 3));
}

#[test]
fn without_a_matching_rule() {
    let rule = Rule::new("other").path("/other").policy(policy("a"));
    assert_eq!(allocations(|limit| limit.rule(rule)), (0, 3));
}
