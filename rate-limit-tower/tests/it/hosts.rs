//! Which rule applies to which host.

use http::Request;
use rate_limit_core::ManualClock;
use rate_limit_tower::{LayerError, RateLimitPolicy, Rule};
use tower::{Layer, Service};

use crate::support::{Answered, Probe, call_now, field, get, limit};

fn rule(name: &str) -> Rule {
    Rule::new(name).policy(RateLimitPolicy::per_minute(100))
}

fn service_of(
    rules: impl IntoIterator<Item = Rule>,
) -> impl Service<Request<()>, Response = Answered, Error: std::fmt::Debug> {
    let builder = limit(&ManualClock::new());
    let builder = rules.into_iter().fold(builder, |builder, rule| builder.rule(rule));
    builder.build().unwrap().layer(Probe::default())
}

/// The rule under whose policy a request to `host` is counted; empty if under none.
fn rule_of<S>(service: &mut S, host: &'static str, path: &str) -> String
where
    S: Service<Request<()>, Response = Answered, Error: std::fmt::Debug>,
{
    let mut request = get(path);
    request.headers_mut().insert("host", host.parse().unwrap());
    let response = call_now(service, request).unwrap();
    let policies = field(response.headers(), "ratelimit-policy");
    policies.split('"').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn the_nearest_host_wins() {
    let mut service = service_of([
        rule("everywhere"),
        rule("domain").host("*.example.com"),
        rule("subdomain").host("*.eu.example.com"),
        rule("exact").host("API.example.com").host("www.example.org"),
    ]);
    for (host, expected) in [
        ("api.example.com", "exact"),
        ("API.Example.COM:8080", "exact"),
        ("api.example.com.", "exact"),
        ("www.example.org", "exact"),
        ("shop.example.com", "domain"),
        ("a.b.example.com", "domain"),
        ("a.eu.example.com", "subdomain"),
        ("eu.example.com", "domain"),
        ("example.com", "everywhere"),
        ("notexample.com", "everywhere"),
        ("not a host", "everywhere"),
    ] {
        assert_eq!(rule_of(&mut service, host, "/"), expected, "{host}");
    }
}

#[test]
fn a_more_specific_path_beats_a_host_and_a_host_beats_none() {
    let mut service = service_of([
        rule("path").path("/users/me"),
        rule("pattern").path("/users/{id}"),
        rule("host-pattern").path("/users/{name}").host("api.example.com"),
        rule("host").host("api.example.com"),
        Rule::unmatched().policy(RateLimitPolicy::per_minute(100)),
    ]);
    for (host, path, expected) in [
        ("api.example.com", "/users/me", "path"),
        ("api.example.com", "/users/you", "host-pattern"),
        ("www.example.com", "/users/you", "pattern"),
        ("api.example.com", "/", "host"),
        ("www.example.com", "/", "unmatched"),
    ] {
        assert_eq!(rule_of(&mut service, host, path), expected, "{host}{path}");
    }
}

/// RFC 9112, 3.2.2: the target's authority counts, as it does in HTTP/2.
#[test]
fn the_target_beats_the_field() {
    let mut service = service_of([rule("api").host("api.example.com"), rule("rest")]);
    assert_eq!(rule_of(&mut service, "www.example.com", "http://api.example.com:81/"), "api");
    assert_eq!(rule_of(&mut service, "api.example.com", "http://www.example.com/"), "rest");
}

/// F05.
#[test]
fn two_rules_for_one_host_are_refused() {
    let builder = limit(&ManualClock::new());
    let error = builder
        .rule(rule("one").path("/a").host("api.example.com"))
        .rule(rule("two").path("/a").host("www.example.com").host("Api.Example.com"))
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "rules `one` and `two` both match any method `/a` of host `api.example.com`; expected \
         different methods or paths, or different groups if both shall apply"
    );
}

#[test]
fn what_cannot_name_a_host_is_refused() {
    for host in ["", "*", "a.*", "example.com:80", "https://example.com"] {
        let refused = limit(&ManualClock::new()).rule(rule("api").host(host)).build().unwrap_err();
        let expected = LayerError::Host { rule: "api".to_owned(), host: host.to_owned() };
        assert_eq!(refused, expected);
    }
}
