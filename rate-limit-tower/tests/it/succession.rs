//! Layers that are exchanged while requests are under way.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rate_limit_core::{ManualClock, RateLimitRepository};
use rate_limit_tower::{
    RateLimitLayer, RateLimitPolicy, RateLimitPolicyBuilder, ResponseFuture, Rule,
};

use crate::support::{Answered, Probe, get, is_ready, number, store};

type Exchanged = RateLimitLayer<Arc<dyn RateLimitRepository>>;

fn layer(
    store: &Arc<dyn RateLimitRepository>,
    clock: &ManualClock,
    policy: RateLimitPolicyBuilder,
    previous: Option<&Exchanged>,
) -> Exchanged {
    let builder = RateLimitLayer::builder(store.clone())
        .without_fallback()
        .clock(clock.clone())
        .rule(Rule::new("api").policy(policy));
    match previous {
        Some(previous) => builder.succeeding(previous).build().unwrap(),
        None => builder.build().unwrap(),
    }
}

fn begin(layer: &Exchanged) -> ResponseFuture<Probe, (), Arc<dyn RateLimitRepository>> {
    let mut inner = Probe::default();
    assert!(is_ready(&mut inner));
    layer.limit(&mut inner, get("/"))
}

fn finish(future: impl Future<Output = Result<Answered, crate::support::ProbeFailed>>) -> Answered {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => response.unwrap(),
        Poll::Pending => panic!("the service answers at once"),
    }
}

fn remaining(layer: &Exchanged) -> (u64, u64) {
    let response = finish(begin(layer));
    let fields = response.headers();
    (number(fields, "x-ratelimit-limit"), number(fields, "x-ratelimit-remaining"))
}

/// Promise 8: what was used stays used, as the share of a bucket or the count of a window.
#[test]
fn a_changed_limit_forgives_nothing() {
    type Count = fn(RateLimitPolicyBuilder) -> RateLimitPolicyBuilder;
    let algorithms: [(Count, _); 2] =
        [(|policy| policy, (200, 79)), (|policy| policy.fixed_window(), (200, 139))];
    for (algorithm, left) in algorithms {
        let clock = ManualClock::new();
        let store: Arc<dyn RateLimitRepository> = Arc::new(store(&clock));
        let policy = |limit| algorithm(RateLimitPolicy::per_minute(limit));
        let before = layer(&store, &clock, policy(100), None);
        let told: Vec<_> = (0..60).map(|_| remaining(&before)).collect();
        assert_eq!(told.last(), Some(&(100, 40)));
        let after = layer(&store, &clock, policy(200), Some(&before));
        assert_eq!(remaining(&after), left);
        // Whoever was asked before the exchange is still answered by what was asked.
        assert_eq!(remaining(&before).0, 100);
    }
}

#[test]
fn time_refills_under_the_new_limit() {
    let clock = ManualClock::new();
    let store: Arc<dyn RateLimitRepository> = Arc::new(store(&clock));
    let before = layer(&store, &clock, RateLimitPolicy::per_minute(100), None);
    (0..60).for_each(|_| _ = remaining(&before));
    clock.advance(Duration::from_secs(6));
    let after = layer(&store, &clock, RateLimitPolicy::per_minute(200), Some(&before));
    assert_eq!(remaining(&after), (200, 99), "80 were left, and 20 came back in 6 seconds");
}

#[test]
fn a_request_that_is_under_way_ends_as_it_began() {
    let clock = ManualClock::new();
    let store: Arc<dyn RateLimitRepository> = Arc::new(store(&clock));
    let before = layer(&store, &clock, RateLimitPolicy::per_minute(100), None);
    let under_way = begin(&before);
    let after = layer(&store, &clock, RateLimitPolicy::per_minute(5), Some(&before));
    drop(before);
    assert_eq!(remaining(&after).0, 5);
    assert_eq!(number(finish(under_way).headers(), "x-ratelimit-limit"), 100);
}
