//! The responses of requests that do not pass.

use std::time::Duration;

use rate_limit_core::ManualClock;
use rate_limit_tower::{
    AccessLists, Decision, Network, PenaltyLadder, RateLimitLayer, RateLimitPolicy, Rule, Verdict,
};
use serde_json::json;
use tower::Layer;

use crate::support::{
    NEW_YEAR, Never, Probe, ask, call_now, field, get, has_no_limit_fields, json, limit, number,
};

#[test]
fn denial() {
    let clock = ManualClock::new();
    let policy = RateLimitPolicy::per_minute(4).named("search").burst(1);
    let probe = Probe::default();
    let calls = probe.calls();
    let mut service = limit(&clock).per_ip(policy).build().unwrap().layer(probe);
    ask(&mut service);
    let response = ask(&mut service);
    assert_eq!(calls(), 1, "the inner service is not called");
    assert_eq!(response.status(), 429);
    assert_eq!(field(response.headers(), "content-type"), "application/problem+json");
    assert_eq!(field(response.headers(), "cache-control"), "no-store");
    assert_eq!(field(response.headers(), "retry-after"), "15");
    let decision = response.extensions().get::<Decision>().unwrap();
    assert_eq!(decision.verdict(), Verdict::Deny);
    assert_eq!(
        json(response),
        json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Quota Exceeded",
            "status": 429,
            "detail": "The limit of the policy \"search\" is reached. Try again in 15 seconds.",
            "violated-policies": ["search"],
            "limits_exceeded": [{
                "policy": "search",
                "limit": 4,
                "window_seconds": 60,
                "remaining": 0,
                "retry_after": 15,
            }],
            "retry_after": 15,
        })
    );
}

/// What denials say is written once for each policy and rule, so each has to find its own.
#[test]
fn each_denial_tells_of_its_own_policy_and_rule() {
    let clock = ManualClock::new();
    let policy = |name: &str, limit, seconds| {
        RateLimitPolicy::per(limit, Duration::from_secs(seconds)).named(name).fixed_window()
    };
    let site = Rule::new("site").policy(policy("minute", 1, 60)).policy(policy("day", 2, 86_400));
    let page = |name: &str, url: &str| {
        let rule = Rule::new(name).group("pages").path(format!("/{name}")).documentation_url(url);
        rule.policy(policy(name, 1_000, 60))
    };
    let layer = limit(&clock)
        .rule(site)
        .rule(page("a", "https://example.com/a"))
        .rule(page("b", "https://example.com/b"))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let mut told = |path: &str| {
        let response = call_now(&mut service, get(path)).unwrap();
        let problem = if response.status() == 200 { json!({}) } else { json(response) };
        (problem["violated-policies"].clone(), problem["documentation_url"].clone())
    };
    told("/a");
    for _ in 0..2 {
        for (path, url) in [
            ("/a", json!("https://example.com/a")),
            ("/b", json!("https://example.com/b")),
            ("/c", json!(null)),
        ] {
            assert_eq!(told(path), (json!(["minute"]), url));
        }
    }
    clock.advance(Duration::from_secs(60));
    told("/c");
    clock.advance(Duration::from_secs(60));
    for _ in 0..2 {
        assert_eq!(told("/c"), (json!(["day"]), json!(null)));
    }
}

#[test]
fn two_violated_policies_are_both_reported() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .per_ip(RateLimitPolicy::per(1, Duration::from_millis(1_500)).named("short").fixed_window())
        .global(RateLimitPolicy::per_hour(1).named("long").fixed_window())
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    ask(&mut service);
    let problem = json(ask(&mut service));
    assert_eq!(problem["violated-policies"], json!(["short", "long"]));
    assert_eq!(
        problem["limits_exceeded"],
        json!([
            {
                "policy": "short", "limit": 1, "window_seconds": 1.5,
                "remaining": 0, "retry_after": 2,
            },
            {
                "policy": "long", "limit": 1, "window_seconds": 3_600,
                "remaining": 0, "retry_after": 3_600,
            },
        ])
    );
    assert_eq!(problem["retry_after"], 3_600);
    assert_eq!(
        problem["detail"],
        "The limits of the policies \"short\" and \"long\" are reached. Try again in 3600 seconds."
    );
}

#[test]
fn ban() {
    let clock = ManualClock::new();
    let ladder =
        PenaltyLadder::after(1, Duration::from_secs(60)).first_ban(Duration::from_secs(900));
    let policy = RateLimitPolicy::per_minute(1).named("login").penalty(ladder);
    let mut service = limit(&clock).per_ip(policy).build().unwrap().layer(Probe::default());
    ask(&mut service);
    let problem = json(ask(&mut service));
    let r#type = "https://iana.org/assignments/http-problem-types#abnormal-usage-detected";
    assert_eq!(problem["type"], r#type);
    assert_eq!(problem["title"], "Abnormal Usage Detected");
    assert_eq!(problem["status"], 429);
    assert_eq!(problem["retry_after"], 900);
}

#[test]
fn a_denial_that_waiting_does_not_cure_names_no_time() {
    let layer = RateLimitLayer::builder(Never)
        .without_fallback()
        .clock(ManualClock::new())
        .per_ip(RateLimitPolicy::per_minute(10).named("search"))
        .build()
        .unwrap();
    let response = ask(&mut layer.layer(Probe::default()));
    assert_eq!(response.status(), 429);
    assert!(!response.headers().contains_key("retry-after"));
    assert_eq!(field(response.headers(), "ratelimit"), r#""search";r=3"#);
    assert_eq!(number(response.headers(), "x-ratelimit-reset"), NEW_YEAR + 3);
    let problem = json(response);
    assert!(problem.get("retry_after").is_none());
    assert!(problem["limits_exceeded"][0].get("retry_after").is_none());
    assert_eq!(
        problem["detail"],
        "This request costs 1 unit, and the policy \"search\" never admits more than 10 at once. \
         Trying again does not help."
    );
}

#[test]
fn block() {
    let clock = ManualClock::new();
    let network = Network::new("192.0.2.0".parse().unwrap(), 24).unwrap();
    let probe = Probe::default();
    let calls = probe.calls();
    let layer = limit(&clock)
        .access(AccessLists::new().block_network(network))
        .per_ip(RateLimitPolicy::per_minute(9))
        .build()
        .unwrap();
    let response = ask(&mut layer.layer(probe));
    assert_eq!((response.status().as_u16(), calls()), (403, 0));
    assert!(has_no_limit_fields(response.headers()));
    assert!(!response.headers().contains_key("retry-after"));
    assert_eq!(field(response.headers(), "content-type"), "application/problem+json");
    assert_eq!(
        json(response),
        json!({
            "type": "about:blank",
            "title": "Forbidden",
            "status": 403,
            "detail": "This client is not allowed to use the service.",
        })
    );
}
