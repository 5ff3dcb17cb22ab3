//! What requests cost, and under whose policies.

use http::Request;
use rate_limit_core::ManualClock;
use rate_limit_tower::{
    ClientIdentity, Key, Policies, RateLimitPolicy, RateLimitPolicyBuilder, RequestView, Rule,
};
use tower::Layer;

use crate::support::{Probe, call_now, field, get, json, limit, number, statuses_of};

fn per_day(limit: u64) -> RateLimitPolicyBuilder {
    RateLimitPolicy::per_day(limit).fixed_window()
}

fn batch(of: u64) -> Request<()> {
    let mut request = get("/batch");
    request.headers_mut().insert("x-parts", of.into());
    request
}

fn parts(request: &RequestView<'_>) -> u64 {
    let parts =
        request.headers().get("x-parts").and_then(|parts| parts.to_str().ok()?.parse().ok());
    parts.unwrap_or(1)
}

/// P06.
#[test]
fn a_batch_is_charged_as_a_whole_or_not_at_all() {
    let rule = Rule::new("batch").policy(per_day(150)).cost_from(parts);
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let response = call_now(&mut service, batch(100)).unwrap();
    assert_eq!(number(response.headers(), "x-ratelimit-remaining"), 50);
    assert_eq!(call_now(&mut service, batch(100)).unwrap().status(), 429);
    let response = call_now(&mut service, batch(50)).unwrap();
    assert_eq!(number(response.headers(), "x-ratelimit-remaining"), 0);
}

#[test]
fn a_fixed_cost() {
    let rule = Rule::new("search").policy(per_day(10)).cost(4);
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let statuses = statuses_of(&mut layer.layer(Probe::default()), (0..3).map(|_| get("/")));
    assert_eq!(statuses, [200, 200, 429]);
}

#[test]
fn a_request_that_costs_nothing_is_told_where_it_stands() {
    let rule = Rule::new("status").policy(per_day(2)).cost_from(parts);
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let mut service = layer.layer(Probe::default());
    for _ in 0..5 {
        let response = call_now(&mut service, batch(0)).unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(number(response.headers(), "x-ratelimit-remaining"), 2);
    }
}

#[test]
fn a_cost_above_the_capacity_names_no_time() {
    let rule = Rule::new("batch").policy(per_day(10)).cost_from(parts);
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let response = call_now(&mut layer.layer(Probe::default()), batch(11)).unwrap();
    assert_eq!(response.status(), 429);
    assert!(!response.headers().contains_key("retry-after"));
    let detail = json(response)["detail"].to_string();
    assert!(detail.contains("costs 11 units") && detail.contains("more than 10"), "{detail}");
}

/// A tier is found by an outer layer, which has verified it.
#[derive(Clone, Copy)]
struct Gold;

fn tiers() -> Rule {
    let gold = Policies::new([per_day(5).named("api")]).unwrap();
    let choose = move |request: &RequestView<'_>| {
        request.extensions().get::<Gold>().map(|Gold| gold.clone())
    };
    Rule::new("api").policy(per_day(2)).policies_from(choose)
}

fn gold() -> Request<()> {
    let mut request = get("/");
    request.extensions_mut().insert(Gold);
    request
}

#[test]
fn every_tier_has_its_policies() {
    let layer = limit(&ManualClock::new()).rule(tiers()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(statuses_of(&mut service, (0..3).map(|_| get("/"))), [200, 200, 429]);
    // The upgrade does not forget what was used.
    let statuses = statuses_of(&mut service, (0..4).map(|_| gold()));
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(statuses_of(&mut service, [get("/")]), [429]);
}

#[test]
fn policies_are_chosen_by_whose_buckets_are_charged() {
    let vip = Policies::new([per_day(3).named("api")]).unwrap();
    let choose = move |client: &ClientIdentity, _: &RequestView<'_>| {
        (*client == ClientIdentity::custom("x-user", "vip").unwrap()).then(|| vip.clone())
    };
    let rule = Rule::new("api").key(Key::header("x-user")).policy(per_day(1)).policies_for(choose);
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let of = |user: &'static str| {
        let mut request = get("/");
        request.headers_mut().insert("x-user", user.parse().unwrap());
        request
    };
    assert_eq!(statuses_of(&mut service, ["other"; 2].map(of)), [200, 429]);
    assert_eq!(statuses_of(&mut service, ["vip"; 4].map(of)), [200, 200, 200, 429]);
}

#[test]
fn the_fields_list_the_policies_of_the_tier() {
    let layer = limit(&ManualClock::new()).rule(tiers()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let list = |request| {
        let response = call_now(&mut service, request).unwrap();
        field(response.headers(), "ratelimit-policy").to_owned()
    };
    assert_eq!([get("/"), gold()].map(list), [r#""api";q=2;w=86400"#, r#""api";q=5;w=86400"#]);
}

#[test]
fn a_rule_names_its_first_policy() {
    let rule = Rule::new("search").policy(per_day(3)).policy(per_day(9).named("second"));
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let response = call_now(&mut layer.layer(Probe::default()), get("/")).unwrap();
    let expected = r#""search";q=3;w=86400, "second";q=9;w=86400"#;
    assert_eq!(field(response.headers(), "ratelimit-policy"), expected);
}

#[test]
fn an_empty_tier_limits_nothing() {
    let rule = Rule::new("api").policies_from(|_| Some(Policies::from_iter([])));
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let statuses = statuses_of(&mut layer.layer(Probe::default()), (0..9).map(|_| get("/")));
    assert_eq!(statuses, [200; 9]);
}
