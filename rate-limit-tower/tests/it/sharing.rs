//! One layer, one state.

use rate_limit_core::ManualClock;
use rate_limit_tower::RateLimitPolicy;
use tower::Layer;

use crate::support::{Probe, limit, passing};

/// axum applies a layer once per route.
#[test]
fn all_services_of_a_layer_and_its_clones_share_their_buckets() {
    let clock = ManualClock::new();
    let layer = limit(&clock).per_ip(RateLimitPolicy::per_day(10).fixed_window()).build().unwrap();
    let mut first = layer.layer(Probe::default());
    let mut second = layer.clone().layer(Probe::default());
    let mut third = second.clone();
    let passed = passing(&mut first, "192.0.2.1", 4)
        + passing(&mut second, "192.0.2.1", 4)
        + passing(&mut third, "192.0.2.1", 4);
    assert_eq!(passed, 10);
}

#[test]
fn two_layers_count_separately() {
    let clock = ManualClock::new();
    let build = || limit(&clock).per_ip(RateLimitPolicy::per_day(1)).build().unwrap();
    assert_eq!(passing(&mut build().layer(Probe::default()), "192.0.2.1", 3), 1);
    assert_eq!(passing(&mut build().layer(Probe::default()), "192.0.2.1", 3), 1);
}

/// All or nothing: who is stopped by one policy takes nothing from the other.
#[test]
fn a_denied_request_charges_no_policy() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .per_ip(RateLimitPolicy::per_day(2).named("mine").fixed_window())
        .global(RateLimitPolicy::per_day(5).named("system").fixed_window())
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(passing(&mut service, "192.0.2.1", 100), 2);
    assert_eq!(passing(&mut service, "192.0.2.2", 100), 2);
    assert_eq!(passing(&mut service, "192.0.2.3", 100), 1, "what the others left");
}
