//! What `build` refuses, and how it says so.

use std::sync::Arc;

use rate_limit_core::{ManualClock, RateLimitRepository};
use rate_limit_tower::{
    EnforceError, FailureMode, LayerError, PolicyError, RateLimitLayer, RateLimitPolicy,
};
use tower::Layer;

use crate::support::{Probe, limit, statuses, store};

#[test]
fn a_policy_that_cannot_work() {
    let refused = limit(&ManualClock::new())
        .global(RateLimitPolicy::per_minute(0).named("first"))
        .per_ip(RateLimitPolicy::per_minute(5))
        .per_ip(RateLimitPolicy::per_minute(5).named("in valid"))
        .build()
        .unwrap_err();
    assert!(
        matches!(&refused, LayerError::Policy(PolicyError::Limit { policy, .. }) if policy == "first")
    );
    assert!(refused.to_string().contains("limit 0 is out of range"), "{refused}");
}

/// T02.
#[test]
fn a_name_that_would_need_escaping() {
    for name in ["a\r\nb", "a\"b", "a\\b", "naïve", "", " "] {
        let refused = limit(&ManualClock::new())
            .per_ip(RateLimitPolicy::per_minute(5).named(name))
            .build()
            .unwrap_err();
        assert!(matches!(refused, LayerError::Policy(PolicyError::Name { .. })), "{name:?}");
    }
}

#[test]
fn no_policy_at_all() {
    let refused = limit(&ManualClock::new()).build().unwrap_err();
    assert_eq!(refused, LayerError::NoPolicy);
}

#[test]
fn two_policies_of_one_name_on_one_key() {
    let refused = limit(&ManualClock::new())
        .per_ip(RateLimitPolicy::per_minute(5).named("api"))
        .per_ip(RateLimitPolicy::per_day(50).named("api").fixed_window())
        .build()
        .unwrap_err();
    let expected =
        LayerError::DuplicatePolicy { policy: "api".to_owned(), key: "per IP".to_owned() };
    assert_eq!(refused, expected);
    assert!(refused.to_string().contains("`api`"), "{refused}");
}

#[test]
fn one_name_on_two_keys_is_fine() {
    let layer = limit(&ManualClock::new())
        .per_ip(RateLimitPolicy::per_minute(1))
        .global(RateLimitPolicy::per_minute(2))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(statuses(&mut service, "192.0.2.1", 2), [200, 429]);
    assert_eq!(statuses(&mut service, "192.0.2.2", 1), [200]);
    assert_eq!(statuses(&mut service, "192.0.2.3", 1), [429]);
}

#[test]
fn nothing_was_said_about_outages() {
    let clock = ManualClock::new();
    let refused = RateLimitLayer::builder(store(&clock))
        .per_ip(RateLimitPolicy::per_minute(5).named("api"))
        .build()
        .unwrap_err();
    let expected =
        EnforceError::MissingFallback { policy: "api".to_owned(), mode: FailureMode::Local };
    assert_eq!(refused, LayerError::Enforce(expected));
}

#[test]
fn nodes_out_of_range() {
    let refused =
        limit(&ManualClock::new()).nodes(0).per_ip(RateLimitPolicy::per_minute(5)).build();
    assert!(matches!(refused, Err(LayerError::Enforce(EnforceError::Nodes { nodes: 0, .. }))));
}

#[test]
fn a_store_chosen_at_run_time_and_a_shared_policy() {
    let clock = ManualClock::new();
    let chosen: Arc<dyn RateLimitRepository> = Arc::new(store(&clock));
    let policy = Arc::new(RateLimitPolicy::per_minute(1).build().unwrap());
    let layer = RateLimitLayer::builder(chosen).without_fallback().per_ip(policy).build().unwrap();
    assert_eq!(statuses(&mut layer.layer(Probe::default()), "192.0.2.1", 2), [200, 429]);
}

#[cfg(feature = "memory")]
#[test]
fn in_memory_needs_nothing_else() {
    let layer = RateLimitLayer::in_memory()
        .per_ip(RateLimitPolicy::per_day(1).fixed_window())
        .build()
        .unwrap();
    assert_eq!(statuses(&mut layer.layer(Probe::default()), "192.0.2.1", 2), [200, 429]);
}
