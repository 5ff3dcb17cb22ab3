//! What is said aloud, once, about how a program is put together.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use rate_limit_core::conformance::doubles::FailingRepository;
use rate_limit_core::{ManualClock, RepositoryErrorKind};
use rate_limit_tower::{
    AccessLists, FailureMode, Network, RateLimitLayer, RateLimitLayerBuilder, RateLimitPolicy,
    RateLimitPolicyBuilder,
};
use tower::Layer;

use crate::listener::{Line, listening};
use crate::support::{Probe, Store, ask, call_now, limit, request, statuses, store};

/// The lines with a code, as code and level.
fn said(lines: &[Line]) -> Vec<(&str, &str)> {
    let coded = lines.iter().filter_map(|line| Some((line.get("code")?.as_str(), line)));
    coded.map(|(code, line)| (code, line["level"].as_str())).collect()
}

fn hundred() -> RateLimitPolicyBuilder {
    RateLimitPolicy::per_minute(100)
}

fn on(clock: &ManualClock, store: &Arc<Store>) -> RateLimitLayerBuilder<Arc<Store>> {
    RateLimitLayer::builder(store.clone()).without_fallback().clock(clock.clone())
}

#[test]
fn a_layer_around_itself_counts_twice() {
    let lines = listening(|| {
        let layer = limit(&ManualClock::new()).per_ip(hundred()).build().unwrap();
        let mut service = layer.layer(layer.layer(Probe::default()));
        for _ in 0..20 {
            call_now(&mut service, request()).unwrap();
        }
    });
    assert_eq!(said(&lines), [("RL006", "ERROR")]);
    let message = &lines[0]["message"];
    assert!(message.contains("policy `default`") && message.contains("docs/RL006.md"), "{message}");
}

#[test]
fn two_layers_with_one_store_and_one_name_count_twice() {
    let lines = listening(|| {
        let clock = ManualClock::new();
        let store = Arc::new(store(&clock));
        let (outer, inner) = (on(&clock, &store), on(&clock, &store));
        let inner = inner.per_ip(hundred()).build().unwrap().layer(Probe::default());
        let mut service = outer.per_ip(hundred()).build().unwrap().layer(inner);
        for _ in 0..20 {
            call_now(&mut service, request()).unwrap();
            clock.advance(Duration::from_millis(400));
        }
    });
    assert_eq!(said(&lines), [("RL006", "ERROR")]);
}

#[test]
fn layers_that_do_not_share_a_bucket_count_once() {
    let lines = listening(|| {
        let clock = ManualClock::new();
        let store = Arc::new(store(&clock));
        let other_name = on(&clock, &store).per_ip(hundred().named("other")).build().unwrap();
        let other_key = on(&clock, &store).global(hundred()).build().unwrap();
        let other_store = limit(&clock).per_ip(hundred()).build().unwrap();
        let inner = other_name.layer(other_key.layer(other_store.layer(Probe::default())));
        let mut service = on(&clock, &store).per_ip(hundred()).build().unwrap().layer(inner);
        for _ in 0..20 {
            call_now(&mut service, request()).unwrap();
            clock.advance(Duration::from_millis(400));
        }
    });
    assert_eq!(said(&lines), []);
}

#[test]
fn a_successor_says_nothing_again() {
    let clock = ManualClock::new();
    let shared =
        || RateLimitLayer::builder(store(&clock)).fallback(store(&clock)).per_ip(hundred());
    let without_peer = || Request::builder().body(()).unwrap();
    let lines = listening(|| {
        let mut layer = shared().build().unwrap();
        for _ in 0..5 {
            call_now(&mut layer.layer(Probe::default()), without_peer()).unwrap();
            layer = shared().succeeding(&layer).build().unwrap();
        }
    });
    assert_eq!(said(&lines), [("RL007", "ERROR"), ("RL001", "ERROR")]);
}

/// A list of networks needs addresses, whoever's buckets are charged.
#[test]
fn a_missing_address_is_noticed_where_only_a_list_needs_it() {
    let network = Network::new("203.0.113.0".parse().unwrap(), 24).unwrap();
    let send = |builder: RateLimitLayerBuilder<Store>| {
        let layer = builder.global(hundred()).build().unwrap();
        call_now(&mut layer.layer(Probe::default()), Request::new(())).unwrap();
    };
    let clock = ManualClock::new();
    let lines = listening(|| send(limit(&clock).access(AccessLists::new().block_network(network))));
    assert_eq!(said(&lines), [("RL001", "ERROR")]);
    assert_eq!(said(&listening(|| send(limit(&clock)))), []);
}

#[test]
fn one_node_beside_a_shared_store_is_noticed_when_the_layer_is_built() {
    let clock = ManualClock::new();
    let shared = |mode| {
        let policy = hundred().on_failure(mode);
        RateLimitLayer::builder(store(&clock)).fallback(store(&clock)).per_ip(policy)
    };
    let lines = listening(|| {
        let layer = shared(FailureMode::Local).build().unwrap();
        for _ in 0..20 {
            ask(&mut layer.layer(Probe::default()));
        }
    });
    assert_eq!(said(&lines), [("RL007", "ERROR")]);
    let lines = listening(|| {
        shared(FailureMode::Local).nodes(2).build().unwrap();
        // Nothing is shared out, or there is nobody to share with.
        shared(FailureMode::Deny).build().unwrap();
        limit(&clock).per_ip(hundred()).build().unwrap();
    });
    assert_eq!(said(&lines), []);
}

#[test]
fn a_store_that_goes_away_and_comes_back_is_two_lines() {
    let clock = ManualClock::new();
    let broken =
        Arc::new(FailingRepository::after(u64::MAX, RepositoryErrorKind::Timeout, store(&clock)));
    let lines = listening(|| {
        let layer = RateLimitLayer::builder(broken.clone())
            .fallback(store(&clock))
            .nodes(2)
            .per_ip(hundred())
            .clock(clock.clone())
            .build()
            .unwrap();
        let mut service = layer.layer(Probe::default());
        statuses(&mut service, "192.0.2.1", 5);
        broken.fail();
        statuses(&mut service, "192.0.2.1", 5);
        clock.advance(Duration::from_secs(2));
        statuses(&mut service, "192.0.2.1", 5);
        broken.recover();
        statuses(&mut service, "192.0.2.1", 5);
    });
    assert_eq!(said(&lines), [("RL008", "ERROR"), ("RL008", "INFO")]);
    assert!(lines[0]["message"].contains("did not answer in time"), "{lines:?}");
}

/// The last word is what is true.
#[test]
fn a_store_that_comes_and_goes_is_one_line_per_second() {
    let clock = ManualClock::new();
    let kind = RepositoryErrorKind::Unavailable;
    let broken = Arc::new(FailingRepository::after(u64::MAX, kind, store(&clock)));
    let lines = listening(|| {
        let policy = hundred().on_failure(FailureMode::Deny);
        let layer = RateLimitLayer::builder(broken.clone()).without_fallback().per_ip(policy);
        let layer = layer.clock(clock.clone()).build().unwrap();
        let mut service = layer.layer(Probe::default());
        for _ in 0..100 {
            broken.fail();
            ask(&mut service);
            broken.recover();
            ask(&mut service);
            clock.advance(Duration::from_millis(50));
        }
        broken.fail();
        clock.advance(Duration::from_secs(1));
        ask(&mut service);
        clock.advance(Duration::from_secs(1));
        ask(&mut service);
    });
    let said = said(&lines);
    assert!((3..=8).contains(&said.len()), "{said:?}");
    assert_eq!(said.last(), Some(&("RL008", "ERROR")), "it is away");
}
