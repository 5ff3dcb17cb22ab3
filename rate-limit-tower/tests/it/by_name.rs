//! Rules that are asked for by their names.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::Request;
use rate_limit_core::ManualClock;
use rate_limit_core::conformance::block_on;
use rate_limit_tower::{
    ClientAddress, Decision, ForwardingHeader, Key, MissingIdentity, NamedAnswer, Question,
    RateLimitLayer, RateLimitPolicy, RateLimitRepository, Rule, TrustedProxies, UnknownRule,
};
use serde_json::json;
use tower::Layer;

use crate::support::{
    LIMIT_FIELDS, Probe, Store, call_now, field, get, json, limit, number, request_from, send,
};

fn per_user(name: &str, limit: u64) -> Rule {
    Rule::new(name)
        .group(name)
        .path(format!("/only/{name}"))
        .key(Key::header("x-user"))
        .on_missing_identity(MissingIdentity::Reject)
        .policy(RateLimitPolicy::per_minute(limit).fixed_window())
}

fn two_rules() -> RateLimitLayer<Store> {
    let rules = limit(&ManualClock::new()).rule(per_user("few", 3)).rule(per_user("many", 10));
    rules.build().unwrap()
}

fn user(name: &str) -> Request<()> {
    let mut head = get("/elsewhere");
    head.headers_mut().insert("x-user", name.parse().unwrap());
    head
}

fn now<R>(layer: &RateLimitLayer<R>, questions: &[Question]) -> Result<NamedAnswer, UnknownRule>
where
    R: RateLimitRepository + 'static,
{
    match pin!(layer.ask(questions)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a store in memory answers at once"),
    }
}

fn remaining(layer: &RateLimitLayer<Store>, rule: &str, name: &str) -> u64 {
    let answer = now(layer, &[Question::new(rule, user(name)).cost(0)]).unwrap();
    number(answer.response.headers(), "x-ratelimit-remaining")
}

#[test]
fn a_rule_that_is_named_charges_the_bucket_of_requests_that_match_it() {
    let layer = two_rules();
    let mut service = layer.layer(Probe::default());
    let mut matching = user("alice");
    *matching.uri_mut() = "/only/few".parse().unwrap();
    let seen = call_now(&mut service, matching).unwrap();
    let answer = now(&layer, &[Question::new("few", user("alice"))]).unwrap();
    assert_eq!(answer.response.status(), 200);
    assert_eq!(number(answer.response.headers(), "x-ratelimit-remaining"), 1);
    for name in LIMIT_FIELDS {
        assert!(seen.headers().contains_key(name) && answer.response.headers().contains_key(name));
    }
    let decision = answer.response.extensions().get::<Decision>().unwrap();
    assert_eq!(decision.policies().count(), 1);
    assert_eq!(remaining(&layer, "few", "bob"), 3, "another user's bucket");
}

#[test]
fn what_is_turned_away_by_name_gets_the_rejection_of_the_layer() {
    let layer = two_rules();
    let ask = || now(&layer, &[Question::new("few", user("alice")).cost(3)]).unwrap().response;
    assert_eq!(ask().status(), 200);
    let by_name = ask();
    let mut matching = user("alice");
    *matching.uri_mut() = "/only/few".parse().unwrap();
    let mut service = layer.layer(Probe::default());
    let matched = call_now(&mut service, matching).unwrap();
    assert_eq!((by_name.status(), matched.status()), (matched.status(), 429.try_into().unwrap()));
    for name in LIMIT_FIELDS.into_iter().chain(["retry-after", "content-type", "cache-control"]) {
        assert_eq!(field(by_name.headers(), name), field(matched.headers(), name), "{name}");
    }
    let document: serde_json::Value = serde_json::from_slice(by_name.body()).unwrap();
    assert_eq!(document, json(matched));
    assert_eq!(document["violated-policies"], json!(["few"]));
}

#[test]
fn several_rules_are_charged_all_or_none() {
    let layer = two_rules();
    let both = |name: &str| [Question::new("few", user(name)), Question::new("many", user(name))];
    for _ in 0..3 {
        assert_eq!(now(&layer, &both("alice")).unwrap().response.status(), 200);
    }
    let denied = now(&layer, &both("alice")).unwrap();
    assert_eq!(denied.response.status(), 429);
    assert!(denied.receipt.is_none(), "nothing was charged");
    assert_eq!((remaining(&layer, "few", "alice"), remaining(&layer, "many", "alice")), (0, 7));
}

#[test]
fn one_rule_for_two_clients_charges_both() {
    let layer = two_rules();
    let questions = [Question::new("few", user("a")), Question::new("few", user("b")).cost(2)];
    assert_eq!(now(&layer, &questions).unwrap().response.status(), 200);
    assert_eq!((remaining(&layer, "few", "a"), remaining(&layer, "few", "b")), (2, 1));
}

#[test]
fn a_cost_that_is_asked_takes_the_place_of_the_rules_own() {
    let rule = per_user("weighted", 10).cost_from(|request| request.headers().len() as u64 + 3);
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    _ = now(&layer, &[Question::new("weighted", user("a"))]).unwrap();
    assert_eq!(remaining(&layer, "weighted", "a"), 6, "one field and three");
    _ = now(&layer, &[Question::new("weighted", user("a")).cost(1)]).unwrap();
    assert_eq!(remaining(&layer, "weighted", "a"), 5);
}

#[test]
fn an_unknown_rule_charges_nothing_and_names_those_that_there_are() {
    let layer = two_rules();
    let error = now(&layer, &[Question::new("few", user("a")), Question::new("fw", user("a"))]);
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "there is no rule `fw`; expected one of `few`, `many`");
    assert_eq!(remaining(&layer, "few", "a"), 3);
}

#[test]
fn an_identity_that_is_missing_is_the_rules_choice() {
    let answer = now(&two_rules(), &[Question::new("few", get("/"))]).unwrap();
    assert_eq!(answer.response.status(), 400);
    assert!(answer.response.extensions().get::<Decision>().is_none());
}

#[test]
fn lists_hold_for_what_is_asked_by_name() {
    let rules = limit(&ManualClock::new())
        .exempt(|request| request.headers().contains_key("x-exempt"))
        .block(|request| request.headers().contains_key("x-blocked"))
        .rule(per_user("few", 3));
    let layer = rules.build().unwrap();
    let ask = |fields: &[&'static str]| {
        let mut head = user("alice");
        fields.iter().for_each(|name| _ = head.headers_mut().insert(*name, "1".parse().unwrap()));
        now(&layer, &[Question::new("few", head)]).unwrap()
    };
    assert_eq!(ask(&["x-blocked"]).response.status(), 403);
    let exempt = ask(&["x-blocked", "x-exempt"]);
    assert_eq!(exempt.response.status(), 200);
    assert!(exempt.receipt.is_none());
    assert_eq!(remaining(&layer, "few", "alice"), 3);
}

/// Who asks by name knows the client, and is no proxy.
#[test]
fn the_address_is_the_one_that_is_told() {
    let rule = Rule::new("per-ip").policy(RateLimitPolicy::per_minute(2).fixed_window());
    let trusting = ClientAddress::forwarded(
        ForwardingHeader::XForwardedFor,
        TrustedProxies::parse(["192.0.2.0/24"]).unwrap(),
    );
    let layer = limit(&ManualClock::new()).rule(rule).client_address(trusting).build().unwrap();
    let mut head = request_from("::ffff:192.0.2.1");
    head.headers_mut().insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
    _ = now(&layer, &[Question::new("per-ip", head).cost(2)]).unwrap();
    let told = now(&layer, &[Question::new("per-ip", request_from("192.0.2.1"))]).unwrap();
    assert_eq!(told.response.status(), 429);
}

#[test]
fn what_would_be_charged_is_told_without_charging() {
    let layer = two_rules();
    let questions = [Question::new("few", user("a")), Question::new("many", user("a")).cost(4)];
    let charges = block_on(layer.charges(&questions)).unwrap();
    let units: Vec<u64> = charges.iter().map(rate_limit_core::Charge::units).collect();
    assert_eq!(units, [1, 4]);
    assert_eq!((remaining(&layer, "few", "a"), remaining(&layer, "many", "a")), (3, 10));
}

#[test]
fn the_receipt_of_a_rule_that_counts_only_failures_is_the_callers() {
    let rule = per_user("login", 3).count_only(|response| !response.is_success());
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let answer = now(&layer, &[Question::new("login", user("a"))]).unwrap();
    assert_eq!(remaining(&layer, "login", "a"), 2, "nobody has seen a response");
    let receipt = answer.receipt.unwrap();
    assert_eq!(receipt.charges().count(), 1);
    let settled = block_on(layer.settle(receipt, |_| 0)).unwrap();
    assert_eq!((settled.total().returned, remaining(&layer, "login", "a")), (1, 3));
}

/// A gRPC response to a client that was turned away has the status 200.
#[test]
fn a_question_is_no_grpc_request() {
    let layer = two_rules();
    let mut head = user("alice");
    head.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let ask = || now(&layer, &[Question::new("few", head.clone()).cost(3)]).unwrap();
    assert_eq!([ask().response.status(), ask().response.status()], [200, 429]);
}

#[test]
fn a_method_is_part_of_the_question() {
    let rule = per_user("writes", 9).cost_from(|request| match request.method().as_str() {
        "POST" => 5,
        _ => 1,
    });
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let mut head = send("POST", "/");
    head.headers_mut().insert("x-user", "a".parse().unwrap());
    _ = now(&layer, &[Question::new("writes", head)]).unwrap();
    assert_eq!(remaining(&layer, "writes", "a"), 4);
}
