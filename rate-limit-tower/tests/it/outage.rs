//! The store does not answer.

use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::conformance::doubles::FailingRepository;
use rate_limit_core::{ManualClock, RepositoryErrorKind};
use rate_limit_tower::{
    FailureMode, RateLimitLayer, RateLimitLayerBuilder, RateLimitPolicy, RateLimitPolicyBuilder,
};
use serde_json::json;
use tower::Layer;

use crate::support::{
    Never, Probe, Store, ask, field, has_no_limit_fields, json, passing, statuses, store,
};

fn ten(mode: FailureMode) -> RateLimitPolicyBuilder {
    RateLimitPolicy::per_minute(10).on_failure(mode)
}

type Breakable = Arc<FailingRepository<Store>>;

/// A store that works until it is told to fail.
fn breakable(clock: &ManualClock) -> Breakable {
    let kind = RepositoryErrorKind::Unavailable;
    Arc::new(FailingRepository::after(u64::MAX, kind, store(clock)))
}

fn limit(clock: &ManualClock, repository: &Breakable) -> RateLimitLayerBuilder<Breakable> {
    RateLimitLayer::builder(repository.clone()).fallback(store(clock)).clock(clock.clone())
}

/// A layer whose store is away.
fn broken(clock: &ManualClock) -> RateLimitLayerBuilder<Breakable> {
    let broken = breakable(clock);
    broken.fail();
    limit(clock, &broken)
}

/// R27.
#[test]
fn deny_answers_503_without_limit_fields() {
    let clock = ManualClock::new();
    let probe = Probe::default();
    let calls = probe.calls();
    let layer = broken(&clock).per_ip(ten(FailureMode::Deny)).build().unwrap();
    let response = ask(&mut layer.layer(probe));
    assert_eq!((response.status().as_u16(), calls()), (503, 0));
    assert_eq!(field(response.headers(), "retry-after"), "1");
    assert_eq!(field(response.headers(), "content-type"), "application/problem+json");
    assert_eq!(field(response.headers(), "cache-control"), "no-store");
    assert!(has_no_limit_fields(response.headers()));
    assert_eq!(
        json(response),
        json!({
            "type": "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
            "title": "Temporary Reduced Capacity",
            "status": 503,
            "detail": "Whether this request may pass cannot be decided at the moment. \
                       Try again in 1 second.",
            "retry_after": 1,
        })
    );
}

#[test]
fn local_enforces_the_share_of_this_process() {
    let clock = ManualClock::new();
    let layer = broken(&clock).nodes(2).per_ip(ten(FailureMode::Local)).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let response = ask(&mut service);
    let fields = response.headers();
    // The fields describe what decides, not what would if the store answered.
    assert_eq!(field(fields, "x-ratelimit-limit"), "5");
    assert_eq!(field(fields, "ratelimit-policy"), r#""default";q=5;w=60"#);
    assert_eq!(field(fields, "ratelimit"), r#""default";r=4;t=48"#);
    assert_eq!(statuses(&mut service, "192.0.2.1", 5), [200, 200, 200, 200, 429]);
    let denied = ask(&mut service);
    assert_eq!(field(denied.headers(), "retry-after"), "12");
}

#[test]
fn allow_passes_up_to_its_own_limit_and_answers_503_beyond() {
    let clock = ManualClock::new();
    let layer = broken(&clock).nodes(2).per_ip(ten(FailureMode::Allow)).build().unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(passing(&mut service, "192.0.2.1", 10), 10);
    let response = ask(&mut service);
    assert_eq!(response.status(), 503);
    assert!(has_no_limit_fields(response.headers()));
    assert_eq!(field(response.headers(), "retry-after"), "6", "until the budget has a unit");
    assert_eq!(json(response)["violated-policies"], json!(["default"]));
}

#[test]
fn allow_unlimited_passes_everything_without_limit_fields() {
    let clock = ManualClock::new();
    let layer = broken(&clock).per_ip(ten(FailureMode::AllowUnlimited)).build().unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(passing(&mut service, "192.0.2.1", 100), 100);
    assert!(has_no_limit_fields(ask(&mut service).headers()));
}

#[test]
fn a_store_declared_infallible_that_fails_is_unavailable() {
    let clock = ManualClock::new();
    let store = breakable(&clock);
    store.fail();
    let layer =
        RateLimitLayer::builder(store).without_fallback().per_ip(ten(FailureMode::Local)).build();
    assert_eq!(ask(&mut layer.unwrap().layer(Probe::default())).status(), 503);
}

/// Nobody knows how long an outage lasts, also for a request too large for what is left.
#[test]
fn a_request_that_only_the_store_could_admit_may_try_again_soon() {
    let clock = ManualClock::new();
    let layer = broken(&clock).fallback(Never).per_ip(ten(FailureMode::Local)).build().unwrap();
    let response = ask(&mut layer.layer(Probe::default()));
    assert_eq!(response.status(), 503);
    assert_eq!(field(response.headers(), "retry-after"), "1");
}

#[test]
fn service_resumes_by_itself() {
    let clock = ManualClock::new();
    let store = breakable(&clock);
    let layer = limit(&clock, &store).per_ip(ten(FailureMode::Deny)).build().unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(statuses(&mut service, "192.0.2.1", 1), [200]);
    store.fail();
    clock.advance(Duration::from_secs(1));
    assert_eq!(statuses(&mut service, "192.0.2.1", 2), [503, 503]);
    store.recover();
    let response = ask(&mut service);
    assert_eq!(field(response.headers(), "x-ratelimit-remaining"), "8", "the outage was free");
}

#[test]
fn outer_layers_see_that_a_decision_was_degraded() {
    let clock = ManualClock::new();
    let layer = broken(&clock).per_ip(ten(FailureMode::Local)).build().unwrap();
    let response = ask(&mut layer.layer(Probe::default()));
    let decision = response.extensions().get::<rate_limit_tower::Decision>().unwrap();
    assert!(decision.is_degraded());
}
