//! What is told, and how much of it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use proptest::prelude::*;
use rate_limit_core::ManualClock;
use rate_limit_tower::{
    DraftFields, EXPOSED_HEADERS, Exposure, HeaderFields, LayerError, PenaltyLadder,
    RateLimitLayer, RateLimitLayerBuilder, RateLimitPolicy, RejectionReason, ResetFormat,
    RetryJitter, Rule,
};
use serde_json::{Value, json};
use tower::Layer;

use crate::support::{
    LIMIT_FIELDS, NEW_YEAR, Probe, Store, ask, call_now, field, get, has_no_limit_fields, json,
    limit, members, number, read,
};

fn two_windows(clock: &ManualClock) -> RateLimitLayerBuilder<Store> {
    limit(clock)
        .per_ip(RateLimitPolicy::per_minute(2).named("short").fixed_window())
        .global(RateLimitPolicy::per_hour(9).named("long").fixed_window())
}

/// The fields of a request that passes, and of one that is denied 10 seconds later.
fn fields_of(fields: HeaderFields) -> [HeaderMap; 2] {
    let clock = ManualClock::new();
    let layer = two_windows(&clock).header_fields(fields).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let passed = ask(&mut service).headers().clone();
    ask(&mut service);
    clock.advance(Duration::from_secs(10));
    [passed, ask(&mut service).headers().clone()]
}

fn names(fields: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> =
        fields.keys().map(HeaderName::as_str).filter(|name| name.contains("ratelimit")).collect();
    names.sort_unstable();
    names
}

#[test]
fn nothing_but_the_draft() {
    for fields in fields_of(HeaderFields::new().without_legacy()) {
        assert_eq!(names(&fields), ["ratelimit", "ratelimit-policy"]);
    }
}

#[test]
fn nothing_but_the_legacy_fields() {
    let [passed, denied] = fields_of(HeaderFields::new().draft(DraftFields::None));
    assert_eq!(names(&passed), ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]);
    assert_eq!(number(&passed, "x-ratelimit-reset"), NEW_YEAR + 60);
    assert_eq!(number(&denied, "x-ratelimit-reset"), NEW_YEAR + 60);
}

#[test]
fn a_reset_in_seconds_from_now() {
    let [passed, denied] = fields_of(HeaderFields::new().legacy(ResetFormat::DeltaSeconds));
    assert_eq!(number(&passed, "x-ratelimit-reset"), 60);
    assert_eq!(number(&denied, "x-ratelimit-reset"), 50);
    assert_eq!(number(&denied, "retry-after"), 50);
}

#[test]
fn revision_06() {
    let selection = HeaderFields::new().without_legacy().draft(DraftFields::Revision06);
    let [passed, denied] = fields_of(selection);
    for fields in [&passed, &denied] {
        assert_eq!(
            names(fields),
            ["ratelimit-limit", "ratelimit-policy", "ratelimit-remaining", "ratelimit-reset"]
        );
        assert_eq!(field(fields, "ratelimit-policy"), "2;w=60, 9;w=3600");
        sfv::Parser::new(field(fields, "ratelimit-policy")).parse::<sfv::List>().unwrap();
    }
    let values = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
        .map(|name| [number(&passed, name), number(&denied, name)]);
    assert_eq!(values, [[2, 2], [1, 0], [60, 50]]);
}

#[test]
fn revision_07() {
    let selection = HeaderFields::new().without_legacy().draft(DraftFields::Revision07);
    let [passed, denied] = fields_of(selection);
    assert_eq!(field(&passed, "ratelimit"), "limit=2, remaining=1, reset=60");
    assert_eq!(field(&denied, "ratelimit"), "limit=2, remaining=0, reset=50");
    for fields in [&passed, &denied] {
        assert_eq!(field(fields, "ratelimit-policy"), "2;w=60, 9;w=3600");
        let limits: sfv::Dictionary = sfv::Parser::new(field(fields, "ratelimit")).parse().unwrap();
        assert_eq!(limits.len(), 3);
    }
}

#[test]
fn revisions_08_to_11_are_the_default() {
    assert_eq!(HeaderFields::default(), HeaderFields::new().draft(DraftFields::Revision08To11));
    let [passed, denied] = fields_of(HeaderFields::default());
    assert_eq!(members(&passed, "ratelimit-policy").len(), 2);
    assert_eq!(members(&denied, "ratelimit").len(), 1, "only what is violated");
}

#[test]
fn every_field_can_be_exposed_to_scripts() {
    let all = [DraftFields::Revision06, DraftFields::Revision07, DraftFields::Revision08To11];
    for draft in all {
        for fields in fields_of(HeaderFields::new().draft(draft)) {
            assert!(
                names(&fields)
                    .into_iter()
                    .all(|name| EXPOSED_HEADERS.iter().any(|one| one == name))
            );
        }
    }
    assert!(EXPOSED_HEADERS.contains(&http::header::RETRY_AFTER));
}

/// The issue: both limits are in the body, and the reset is the wait.
#[test]
fn two_violated_limits_are_both_told_and_the_reset_is_the_wait() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .per_ip(RateLimitPolicy::per_minute(1).named("short"))
        .global(RateLimitPolicy::per_hour(1).named("long"))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    ask(&mut service);
    clock.advance(Duration::from_millis(1_500));
    let response = ask(&mut service);
    let fields = response.headers().clone();
    // The response is sent 1.5 s into the year; the epoch seconds of that are rounded up.
    assert_eq!(
        number(&fields, "x-ratelimit-reset") - (NEW_YEAR + 2),
        number(&fields, "retry-after")
    );
    let exceeded = json(response)["limits_exceeded"].clone();
    let policies: Vec<_> = exceeded.as_array().unwrap().iter().map(|one| &one["policy"]).collect();
    assert_eq!(policies, [&json!("short"), &json!("long")]);
}

fn problem(exposure: Exposure) -> (HeaderMap, Value) {
    let clock = ManualClock::new();
    let layer = two_windows(&clock).exposure(exposure).build().unwrap();
    let mut service = layer.layer(Probe::default());
    ask(&mut service);
    ask(&mut service);
    let response = ask(&mut service);
    (response.headers().clone(), json(response))
}

/// T09.
#[test]
fn no_exposure_at_all() {
    let (fields, problem) = problem(Exposure::None);
    assert!(has_no_limit_fields(&fields));
    assert_eq!(number(&fields, "retry-after"), 60);
    assert_eq!(
        problem,
        json!({
            "type": "about:blank",
            "title": "Too Many Requests",
            "status": 429,
            "detail": "There were too many requests. Try again in 60 seconds.",
            "retry_after": 60,
        })
    );
    let clock = ManualClock::new();
    let layer = two_windows(&clock).exposure(Exposure::None).build().unwrap();
    assert!(has_no_limit_fields(ask(&mut layer.layer(Probe::default())).headers()));
}

/// T09: neither by what the inner service says. What a request under no policy is told of, this layer
/// has no part in, and another layer says what it was told to say.
#[test]
fn no_exposure_by_the_inner_service_either() {
    let clock = ManualClock::new();
    let inner = Probe::default()
        .with_field("x-ratelimit-limit", "5")
        .with_field("ratelimit-policy", "\"secret\";q=5")
        .with_field("retry-after", "7");
    let rule = Rule::new("api").path("/api").policy(RateLimitPolicy::per_minute(9));
    let layer = limit(&clock).rule(rule).exposure(Exposure::None).build().unwrap();
    let mut service = layer.layer(inner);
    let response = call_now(&mut service, get("/api")).unwrap();
    assert!(has_no_limit_fields(response.headers()));
    assert_eq!(field(response.headers(), "retry-after"), "7", "it speaks of no limit of ours");
    let response = call_now(&mut service, get("/other")).unwrap();
    assert_eq!(field(response.headers(), "x-ratelimit-limit"), "5");

    let outer = limit(&clock).per_ip(RateLimitPolicy::per_minute(2)).exposure(Exposure::None);
    let inner = limit(&clock).per_ip(RateLimitPolicy::per_minute(9).named("inner"));
    let inner = inner.build().unwrap().layer(Probe::default());
    let response = call_now(&mut outer.build().unwrap().layer(inner), get("/")).unwrap();
    assert_eq!(number(response.headers(), "x-ratelimit-limit"), 9);
}

/// T09: neither does a ban tell that it is one.
#[test]
fn without_exposure_a_ban_looks_like_a_limit() {
    let ladder =
        PenaltyLadder::after(1, Duration::from_secs(60)).first_ban(Duration::from_secs(900));
    let policy = RateLimitPolicy::per_minute(1).named("login").penalty(ladder);
    let layer = limit(&ManualClock::new()).exposure(Exposure::None).per_ip(policy).build().unwrap();
    let mut service = layer.layer(Probe::default());
    ask(&mut service);
    let body = String::from_utf8(read(ask(&mut service)).to_vec()).unwrap();
    assert!(!body.contains("login") && !body.contains("bnormal"), "{body}");
}

#[test]
fn minimal_exposure_names_the_limits_and_not_the_cost() {
    let (fields, problem) = problem(Exposure::Minimal);
    assert!(LIMIT_FIELDS.iter().all(|name| fields.contains_key(*name)));
    assert_eq!(problem["violated-policies"], json!(["short"]));
    assert!(problem.get("limits").is_none());
    assert!(problem["limits_exceeded"][0].get("cost").is_none());
}

#[test]
fn full_exposure_shows_the_cost_and_all_limits() {
    let (_, problem) = problem(Exposure::Full);
    let short = json!({
        "policy": "short", "limit": 2, "window_seconds": 60, "remaining": 0, "cost": 1,
        "retry_after": 60,
    });
    let long = json!({
        "policy": "long", "limit": 9, "window_seconds": 3_600, "remaining": 7, "cost": 1,
    });
    assert_eq!(problem["limits_exceeded"], json!([short]));
    assert_eq!(problem["limits"], json!([short, long]));
}

#[test]
fn of_two_rules_the_one_that_tells_least_decides() {
    let layer = limit(&ManualClock::new())
        .exposure(Exposure::Full)
        .rule(Rule::new("open").policy(RateLimitPolicy::per_minute(5)))
        .rule(
            Rule::new("secret")
                .group("secret")
                .path("/secret")
                .policy(RateLimitPolicy::per_minute(5))
                .exposure(Exposure::None),
        )
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let mut fields = |path| call_now(&mut service, get(path)).unwrap().headers().clone();
    assert!(has_no_limit_fields(&fields("/secret")));
    assert_eq!(members(&fields("/open"), "ratelimit-policy").len(), 1);
}

#[test]
fn where_to_read_on() {
    let layer = limit(&ManualClock::new())
        .documentation_url("https://example.com/limits")
        .rule(Rule::new("a").path("/a").policy(RateLimitPolicy::per_day(1)))
        .rule(
            Rule::new("b")
                .path("/b")
                .policy(RateLimitPolicy::per_day(1))
                .documentation_url("https://example.com/b"),
        )
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let mut url = |path| {
        call_now(&mut service, get(path)).unwrap();
        json(call_now(&mut service, get(path)).unwrap())["documentation_url"].clone()
    };
    assert_eq!([url("/a"), url("/b")], ["https://example.com/limits", "https://example.com/b"]);
}

#[test]
fn another_registry_of_problem_types() {
    let layer = limit(&ManualClock::new())
        .problem_type_base("https://example.com/problems/")
        .per_ip(RateLimitPolicy::per_day(1))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    ask(&mut service);
    assert_eq!(json(ask(&mut service))["type"], "https://example.com/problems/quota-exceeded");
}

#[test]
fn a_response_of_ones_own() {
    let layer = limit(&ManualClock::new())
        .per_ip(RateLimitPolicy::per_minute(1))
        .reject_with(|rejection, request| {
            assert_eq!(rejection.reason(), RejectionReason::QuotaExceeded);
            assert!(request.client_address().is_some());
            let wait = rejection.retry_after().unwrap().as_secs();
            let page = format!("{}: come back in {wait} s", request.path());
            let mut response = Response::new(Bytes::from(page));
            *response.status_mut() = StatusCode::from_u16(420).unwrap();
            response.headers_mut().insert("cache-control", "private".parse().unwrap());
            response
        })
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    call_now(&mut service, get("/a/")).unwrap();
    let response = call_now(&mut service, get("/a/")).unwrap();
    assert_eq!(response.status(), 420);
    assert_eq!(number(response.headers(), "retry-after"), 60);
    assert_eq!(field(response.headers(), "cache-control"), "private");
    assert_eq!(number(response.headers(), "x-ratelimit-limit"), 1);
    assert_eq!(read(response), "/a: come back in 60 s");
}

#[test]
fn a_response_of_ones_own_is_not_kept_unless_it_says_so() {
    let layer = limit(&ManualClock::new())
        .per_ip(RateLimitPolicy::per_minute(1))
        .reject_with(|_, _| Response::new(Bytes::from_static(b"later")))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    call_now(&mut service, get("/")).unwrap();
    let response = call_now(&mut service, get("/")).unwrap();
    assert_eq!(field(response.headers(), "cache-control"), "no-store");
    assert_eq!(read(response), "later");
}

#[test]
fn the_default_response_can_be_changed() {
    let layer = limit(&ManualClock::new())
        .per_ip(RateLimitPolicy::per_minute(1))
        .reject_with(|rejection, _| {
            let mut response = rejection.to_response();
            response.headers_mut().insert("x-request-id", "7".parse().unwrap());
            response
        })
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    ask(&mut service);
    let response = ask(&mut service);
    assert_eq!(field(response.headers(), "x-request-id"), "7");
    assert_eq!(json(response)["status"], 429);
}

fn jittered(percent: u8, number: u64) -> RateLimitLayerBuilder<Store> {
    limit(&ManualClock::new())
        .per_ip(RateLimitPolicy::per_hour(1).named("slow").fixed_window())
        .retry_jitter(RetryJitter::up_to_percent(percent).from_source(move || number))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn jitter_only_ever_lengthens_the_wait(percent in 0_u8..=10, random: u64) {
        let layer = jittered(percent, random).build().unwrap();
        let mut service = layer.layer(Probe::default());
        ask(&mut service);
        let response = ask(&mut service);
        let wait = number(response.headers(), "retry-after");
        prop_assert!((3_600..=3_600 + 36 * u64::from(percent)).contains(&wait));
        prop_assert_eq!(number(response.headers(), "x-ratelimit-reset"), NEW_YEAR + wait);
        let told = i64::try_from(wait).unwrap();
        prop_assert_eq!(members(response.headers(), "ratelimit")[0].1["t"], told);
        prop_assert_eq!(&json(response)["retry_after"], &json!(wait));
    }
}

#[test]
fn the_whole_range_of_the_jitter_is_used() {
    let wait = |random| {
        let mut service = jittered(10, random).build().unwrap().layer(Probe::default());
        ask(&mut service);
        number(ask(&mut service).headers(), "retry-after")
    };
    assert_eq!([wait(0), wait(100), wait(50)], [3_600, 3_960, 3_780]);
}

#[test]
fn too_much_jitter() {
    let refused = jittered(11, 0).build().unwrap_err();
    assert_eq!(refused, LayerError::Jitter { percent: 11, max: 10 });
    assert_eq!(refused.to_string(), "a jitter of 11 percent is out of range; expected 0 to 10");
}

#[test]
fn the_systems_own_randomness_stays_in_range() {
    let layer: RateLimitLayer<Store> = limit(&ManualClock::new())
        .per_ip(RateLimitPolicy::per_hour(1).fixed_window())
        .retry_jitter(RetryJitter::up_to_percent(10))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    ask(&mut service);
    let waits: std::collections::BTreeSet<_> =
        (0..100).map(|_| number(ask(&mut service).headers(), "retry-after")).collect();
    assert!(waits.len() > 10, "they differ");
    assert!(waits.iter().all(|wait| (3_600..=3_960).contains(wait)));
}
