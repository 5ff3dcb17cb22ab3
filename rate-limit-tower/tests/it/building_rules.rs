//! What `build` refuses of rules.

use http::Method;
use rate_limit_core::ManualClock;
use rate_limit_tower::{Key, LayerError, PolicyError, RateLimitPolicy, Rule};

use crate::support::limit;

fn rule(name: &str) -> Rule {
    Rule::new(name).policy(RateLimitPolicy::per_minute(5))
}

fn refused(rules: impl IntoIterator<Item = Rule>) -> LayerError {
    let builder = limit(&ManualClock::new());
    rules.into_iter().fold(builder, |builder, rule| builder.rule(rule)).build().unwrap_err()
}

/// F05.
#[test]
fn two_rules_for_the_same_requests() {
    let error = refused([
        rule("one").methods([Method::GET]).path("/users/{id}"),
        rule("two").methods([Method::POST, Method::GET]).path("/users/{name}"),
    ]);
    assert_eq!(
        error.to_string(),
        "rules `one` and `two` both match GET `/users/{}`; expected different methods or paths, or \
         different groups if both shall apply"
    );
    let error = refused([rule("one").path_prefix("/a"), rule("two").path("/a/{*x}")]);
    assert!(error.to_string().contains("both match any method `/a/{*}`"), "{error}");
    let error = refused([rule("one"), rule("two")]);
    assert!(error.to_string().contains("both match any method on any path"), "{error}");
}

#[test]
fn the_same_requests_in_different_groups_are_fine() {
    let rules = [rule("one").path("/a"), rule("two").path("/a").group("other")];
    let builder = limit(&ManualClock::new());
    rules.into_iter().fold(builder, |builder, rule| builder.rule(rule)).build().unwrap();
}

/// F05.
#[test]
fn two_rules_of_one_name() {
    let error = refused([rule("api").path("/a"), rule("api").path("/b")]);
    assert_eq!(error, LayerError::DuplicateRule { rule: "api".to_owned() });
    let error = refused(
        [rule("unmatched").path("/a"), Rule::unmatched()]
            .map(|rule| rule.policy(RateLimitPolicy::per_minute(5).named("unmatched"))),
    );
    assert!(matches!(error, LayerError::DuplicatePolicy { .. } | LayerError::DuplicateRule { .. }));
}

#[test]
fn a_rule_whose_name_cannot_be_used() {
    let error = refused([Rule::new("a b").policies_from(|_| None)]);
    assert_eq!(error, LayerError::RuleName { name: "a b".to_owned() });
    assert!(error.to_string().contains("expected 1 to 64 of the characters"), "{error}");
}

#[test]
fn a_policy_that_cannot_work_says_whose_it_is() {
    let error = refused([Rule::new("api").policy(RateLimitPolicy::per_minute(0).named("x"))]);
    assert!(
        matches!(error, LayerError::Policy(PolicyError::Limit { policy, .. }) if policy == "x")
    );
}

#[test]
fn two_policies_of_one_name_in_buckets_that_may_be_the_same() {
    let limit_of = |n| RateLimitPolicy::per_minute(n).named("shared");
    let error = refused([
        Rule::new("a").path("/a").policy(limit_of(1)),
        Rule::new("b").path("/b").policy(limit_of(2)),
    ]);
    let expected =
        LayerError::DuplicatePolicy { policy: "shared".to_owned(), key: "per IP".to_owned() };
    assert_eq!(error, expected);
    let error = refused([
        Rule::new("a").path("/a").policy(limit_of(1)),
        Rule::new("b").path("/b").key(Key::from_fn(|_| None)).policy(limit_of(2)),
    ]);
    assert!(matches!(error, LayerError::DuplicatePolicy { .. }), "nobody knows what it yields");
    let builder = limit(&ManualClock::new())
        .rule(Rule::new("a").path("/a").policy(limit_of(1)))
        .rule(Rule::new("b").path("/b").key(Key::header("x-b")).policy(limit_of(2)));
    builder.build().unwrap();
}

#[test]
fn a_path_that_is_no_canonical_one() {
    for (pattern, expected) in [
        ("login", "/login"),
        ("/login/", "/login"),
        ("//login", "/login"),
        ("/a/../login", "/login"),
        ("/%6cogin/{id}", "/login/{id}"),
        ("", "/"),
        ("*", "/{*rest}"),
    ] {
        let error = refused([rule("login").path(pattern)]);
        let LayerError::UnreachableRule { rule, reason, expected: said } = &error else {
            panic!("{pattern}: {error}")
        };
        assert_eq!((rule.as_str(), said.as_str()), ("login", format!("`{expected}`").as_str()));
        assert!(reason.contains(&format!("`{pattern}`")), "{error}");
    }
}

#[test]
fn a_path_that_is_no_pattern() {
    for pattern in ["/{", "/{}", "/{a", "/a}", "/{*rest}/more", "/{a}{b}"] {
        let error = refused([rule("api").path(pattern)]);
        let LayerError::Path { rule, pattern: named, .. } = &error else {
            panic!("{pattern}: {error}")
        };
        assert_eq!((rule.as_str(), named.as_str()), ("api", pattern));
        assert!(error.to_string().contains("expected `{name}`"), "{error}");
    }
    let error = refused([rule("api").path_prefix("/a/{id}")]);
    assert!(error.to_string().contains("a prefix has no parameters"), "{error}");
}

#[test]
fn a_rule_that_can_never_match() {
    for (rules, reason) in [
        (vec![rule("none").methods([])], "it names no method"),
        (vec![Rule::unmatched().policy(RateLimitPolicy::per_minute(1)).path("/a")], "names a path"),
        (
            vec![rule("all"), Rule::unmatched().policy(RateLimitPolicy::per_minute(1))],
            "rule `all` of its group matches every request",
        ),
        (
            vec![
                rule("root").path_prefix("/"),
                Rule::unmatched().policy(RateLimitPolicy::per_minute(1)),
            ],
            "rule `root` of its group matches every request",
        ),
        (
            vec![
                rule("root").path_prefix("/"),
                Rule::new("posts").methods([Method::POST]).policy(RateLimitPolicy::per_minute(1)),
            ],
            "`posts`",
        ),
    ] {
        let error = refused(rules);
        assert!(matches!(error, LayerError::UnreachableRule { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_rule_for_every_path_leaves_room_for_others() {
    let other = |name: &str| Rule::new(name).policy(RateLimitPolicy::per_minute(1).named(name));
    let every_path = || rule("root").path_prefix("/");
    for rules in [
        vec![every_path(), other("login").path("/login")],
        vec![every_path(), other("besides").group("besides")],
        vec![every_path().methods([Method::GET]), other("rest")],
        vec![every_path().host("api.example.com"), other("rest")],
    ] {
        let builder = rules.into_iter().fold(limit(&ManualClock::new()), |all, one| all.rule(one));
        builder.build().unwrap();
    }
}

#[test]
fn a_rule_that_limits_nothing() {
    let error = refused([Rule::new("idle").path("/a")]);
    assert_eq!(error, LayerError::RuleWithoutPolicy { rule: "idle".to_owned() });
}

#[test]
fn what_cannot_name_a_header_field() {
    for key in
        [Key::header("x tenant"), Key::api_key(""), Key::all_of([Key::ip(), Key::header("naïve")])]
    {
        let error = refused([rule("api").key(key)]);
        assert!(matches!(&error, LayerError::HeaderName { rule, .. } if rule == "api"), "{error}");
    }
    let error = refused([rule("api").key(Key::header("x tenant"))]);
    assert!(error.to_string().contains("`x tenant` cannot name a header field"), "{error}");
}

#[test]
fn twenty_thousand_rules() {
    let rules = (0..20_000).map(|n| rule(&format!("r{n}")).path(format!("/{n}/{{id}}")));
    let builder = limit(&ManualClock::new());
    rules.fold(builder, |builder, rule| builder.rule(rule)).build().unwrap();
}
