//! The fields of responses, algorithm by algorithm.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;
use rate_limit_core::ManualClock;
use rate_limit_tower::{
    AccessLists, Decision, Network, PenaltyLadder, RateLimitBody, RateLimitPolicy,
    RateLimitPolicyBuilder,
};
use tower::Layer;

use crate::support::{
    LIMIT_FIELDS, NEW_YEAR, Probe, ask, call_now, field, has_no_limit_fields, limit, members,
    number, request,
};

/// One step of a story: time passes, then a request is made and answered.
struct Step {
    after_millis: u64,
    status: u16,
    remaining: u64,
    /// Seconds from the (rounded up) present to the instant in `X-RateLimit-Reset`.
    reset_in: u64,
    limit: &'static str,
    wait: &'static str,
}

const fn passes(after_millis: u64, remaining: u64, reset_in: u64, limit: &'static str) -> Step {
    Step { after_millis, status: 200, remaining, reset_in, limit, wait: "" }
}

const fn denied(
    after_millis: u64,
    remaining: u64,
    reset_in: u64,
    limit: &'static str,
    wait: &'static str,
) -> Step {
    Step { after_millis, status: 429, remaining, reset_in, limit, wait }
}

#[track_caller]
fn plays(policy: RateLimitPolicyBuilder, capacity: &str, list: &str, steps: &[Step]) {
    let clock = ManualClock::new();
    let mut service = limit(&clock).per_ip(policy).build().unwrap().layer(Probe::default());
    let mut passed_millis = 0;
    for (index, step) in steps.iter().enumerate() {
        clock.advance(Duration::from_millis(step.after_millis));
        passed_millis += step.after_millis;
        let response = ask(&mut service);
        let fields = response.headers();
        let reset_at = NEW_YEAR + passed_millis.div_ceil(1_000) + step.reset_in;
        assert_eq!(response.status().as_u16(), step.status, "step {index}");
        assert_eq!(field(fields, "x-ratelimit-limit"), capacity, "step {index}");
        assert_eq!(number(fields, "x-ratelimit-remaining"), step.remaining, "step {index}");
        assert_eq!(number(fields, "x-ratelimit-reset"), reset_at, "step {index}");
        assert_eq!(field(fields, "ratelimit-policy"), list, "step {index}");
        assert_eq!(field(fields, "ratelimit"), step.limit, "step {index}");
        assert_eq!(field(fields, "retry-after"), step.wait, "step {index}");
        assert_eq!(members(fields, "ratelimit-policy").len(), 1, "a structured list");
        assert_eq!(members(fields, "ratelimit").len(), 1, "a structured list");
    }
}

#[test]
fn token_bucket() {
    let policy = RateLimitPolicy::per_minute(3);
    plays(
        policy,
        "3",
        r#""default";q=3;w=60"#,
        &[
            passes(0, 2, 20, r#""default";r=2;t=40"#),
            passes(0, 1, 40, r#""default";r=1;t=20"#),
            // Empty: the next unit is there after a third of a minute.
            passes(0, 0, 60, r#""default";r=0;t=20"#),
            denied(0, 0, 20, r#""default";r=0;t=20"#, "20"),
            denied(19_500, 0, 1, r#""default";r=0;t=1"#, "1"),
            // One unit came back and is taken at once; it was there for half a second.
            passes(1_000, 0, 59, r#""default";r=0;t=20"#),
            denied(0, 0, 20, r#""default";r=0;t=20"#, "20"),
        ],
    );
}

/// The same number of units is told again and again, as it was told before; the time beside it is
/// not, where it depends on more than that number.
#[test]
fn what_was_told_before_is_told_again_only_where_it_is_still_true() {
    let steps = [
        passes(0, 2, 20, r#""default";r=2;t=40"#),
        passes(0, 1, 40, r#""default";r=1;t=20"#),
        passes(0, 0, 60, r#""default";r=0;t=20"#),
        passes(30_000, 0, 50, r#""default";r=0;t=10"#),
        passes(50_000, 2, 20, r#""default";r=2;t=40"#),
        passes(0, 1, 40, r#""default";r=1;t=20"#),
    ];
    plays(RateLimitPolicy::per_minute(3), "3", r#""default";q=3;w=60"#, &steps);
    let steps = [
        passes(0, 2, 60, r#""default";r=2;t=60"#),
        passes(20_000, 1, 40, r#""default";r=1;t=40"#),
        passes(40_000, 2, 60, r#""default";r=2;t=60"#),
        passes(30_000, 1, 30, r#""default";r=1;t=30"#),
    ];
    let policy = RateLimitPolicy::per_minute(3).fixed_window();
    plays(policy, "3", r#""default";q=3;w=60"#, &steps);
}

#[test]
fn token_bucket_with_a_burst() {
    let policy = RateLimitPolicy::per_minute(600).named("steady").burst(20);
    plays(
        policy,
        "20",
        r#""steady";q=20;w=2"#,
        &[passes(0, 19, 1, r#""steady";r=19;t=2"#), passes(0, 18, 1, r#""steady";r=18;t=2"#)],
    );
}

#[test]
fn token_bucket_whose_refill_is_no_whole_number_of_seconds() {
    let policy = RateLimitPolicy::per_second(3).burst(7);
    plays(policy, "7", r#""default";q=7;w=3"#, &[passes(0, 6, 1, r#""default";r=6;t=3"#)]);
}

#[test]
fn windows_below_one_second_are_scaled_up() {
    let policy = RateLimitPolicy::per(5, Duration::from_millis(100)).named("fast");
    plays(
        policy,
        "5",
        r#""fast";q=50;w=1"#,
        &[
            passes(0, 4, 1, r#""fast";r=4;t=1"#),
            passes(0, 3, 1, r#""fast";r=3;t=1"#),
            passes(0, 2, 1, r#""fast";r=2;t=1"#),
            passes(0, 1, 1, r#""fast";r=1;t=1"#),
            passes(0, 0, 1, r#""fast";r=0;t=1"#),
            denied(0, 0, 1, r#""fast";r=0;t=1"#, "1"),
        ],
    );
}

/// T01.
#[test]
fn a_wait_of_200_milliseconds_is_told_as_one_second() {
    let policy = RateLimitPolicy::per_second(5).burst(1);
    plays(
        policy,
        "1",
        r#""default";q=5;w=1"#,
        &[passes(0, 0, 1, r#""default";r=0;t=1"#), denied(0, 0, 1, r#""default";r=0;t=1"#, "1")],
    );
}

#[test]
fn fixed_window() {
    let policy = RateLimitPolicy::per_minute(2).fixed_window();
    plays(
        policy,
        "2",
        r#""default";q=2;w=60"#,
        &[
            passes(0, 1, 60, r#""default";r=1;t=60"#),
            passes(45_500, 0, 14, r#""default";r=0;t=15"#),
            denied(0, 0, 15, r#""default";r=0;t=15"#, "15"),
            denied(14_000, 0, 1, r#""default";r=0;t=1"#, "1"),
            passes(500, 1, 60, r#""default";r=1;t=60"#),
        ],
    );
}

#[test]
fn fixed_window_on_the_grid() {
    // The clock starts at midnight, so the window ends at the next one.
    let policy = RateLimitPolicy::per_day(2).aligned_window();
    plays(
        policy,
        "2",
        r#""default";q=2;w=86400"#,
        &[
            passes(3_600_000, 1, 82_800, r#""default";r=1;t=82800"#),
            passes(0, 0, 82_800, r#""default";r=0;t=82800"#),
            denied(0, 0, 82_800, r#""default";r=0;t=82800"#, "82800"),
        ],
    );
}

#[test]
fn sliding_window() {
    let policy = RateLimitPolicy::per_minute(2).sliding_window();
    plays(
        policy,
        "2",
        r#""default";q=2;w=60"#,
        &[
            passes(0, 1, 120, r#""default";r=1;t=30"#),
            // When it is full again, since the store does not say when the next unit fits.
            passes(0, 0, 120, r#""default";r=0;t=120"#),
            denied(0, 0, 90, r#""default";r=0;t=90"#, "90"),
            passes(90_000, 0, 90, r#""default";r=0;t=90"#),
        ],
    );
}

#[test]
fn sliding_log() {
    let policy = RateLimitPolicy::per_minute(2).sliding_log();
    plays(
        policy,
        "2",
        r#""default";q=2;w=60"#,
        &[
            passes(0, 1, 60, r#""default";r=1;t=30"#),
            passes(10_000, 0, 60, r#""default";r=0;t=60"#),
            denied(0, 0, 50, r#""default";r=0;t=50"#, "50"),
            passes(50_000, 0, 60, r#""default";r=0;t=60"#),
        ],
    );
}

#[test]
fn success_describes_the_closest_policy_and_lists_all() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .per_ip(RateLimitPolicy::per_minute(4).named("mine").fixed_window())
        .global(RateLimitPolicy::per_second(3).named("system").fixed_window())
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let response = ask(&mut service);
    let list = r#""mine";q=4;w=60, "system";q=3;w=1"#;
    assert_eq!(field(response.headers(), "ratelimit-policy"), list);
    assert_eq!(field(response.headers(), "ratelimit"), r#""system";r=2;t=1"#);
    clock.advance(Duration::from_secs(1));
    let response = ask(&mut service);
    assert_eq!(field(response.headers(), "ratelimit-policy"), list, "it never changes");
    assert_eq!(field(response.headers(), "ratelimit"), r#""mine";r=2;t=59"#);
    assert_eq!(field(response.headers(), "x-ratelimit-limit"), "4");
}

#[test]
fn denial_describes_violated_policies_only() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .per_ip(RateLimitPolicy::per_minute(1).named("minute").fixed_window())
        .per_ip(RateLimitPolicy::per_hour(9).named("roomy").fixed_window())
        .per_ip(RateLimitPolicy::per_day(1).named("day").fixed_window())
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    ask(&mut service);
    let response = ask(&mut service);
    let fields = response.headers();
    assert_eq!(response.status(), 429);
    assert_eq!(field(fields, "ratelimit"), r#""minute";r=0;t=60, "day";r=0;t=86400"#);
    assert_eq!(members(fields, "ratelimit-policy").len(), 3);
    assert_eq!(field(fields, "retry-after"), "86400", "the longest wait");
    assert_eq!(field(fields, "x-ratelimit-limit"), "1");
    assert_eq!(number(fields, "x-ratelimit-reset"), NEW_YEAR + 86_400);
}

#[test]
fn a_handlers_error_response_carries_the_fields() {
    let clock = ManualClock::new();
    let layer = limit(&clock).per_ip(RateLimitPolicy::per_minute(5)).build().unwrap();
    let response = ask(&mut layer.layer(Probe::answering(500)));
    assert_eq!(response.status(), 500);
    assert!(LIMIT_FIELDS.iter().all(|name| response.headers().contains_key(*name)));
    assert!(!response.headers().contains_key("retry-after"), "only a denial says when");
}

/// However many there are, and those of another revision as well.
#[test]
fn fields_of_the_inner_service_are_overwritten_but_not_its_retry_after() {
    let clock = ManualClock::new();
    let layer = limit(&clock).per_ip(RateLimitPolicy::per_minute(50)).build().unwrap();
    let theirs = [
        ("retry-after", "77"),
        ("ratelimit", "\"theirs\";r=77"),
        ("ratelimit-reset", "77"),
        ("x-ratelimit-limit", "77"),
        ("x-ratelimit-remaining", "77"),
        ("x-ratelimit-reset", "77"),
        ("ratelimit-policy", "\"theirs\";q=77"),
    ];
    for count in 1..=theirs.len() {
        let probe = theirs.iter().take(count);
        let probe =
            probe.fold(Probe::answering(503), |probe, (name, value)| probe.with_field(name, value));
        let response = ask(&mut layer.layer(probe));
        for name in LIMIT_FIELDS {
            let values: Vec<_> = response.headers().get_all(name).iter().collect();
            assert!(values.len() == 1 && values[0] != "77", "{count}: {name}: {values:?}");
            assert!(!field(response.headers(), name).contains("theirs"), "{count}: {name}");
        }
        assert!(!response.headers().contains_key("ratelimit-reset"), "{count}");
        assert_eq!(field(response.headers(), "retry-after"), "77");
    }
}

#[test]
fn of_nested_layers_speaks_the_one_that_is_closer_to_exhaustion() {
    let clock = ManualClock::new();
    let inner = limit(&clock).per_ip(RateLimitPolicy::per_minute(2).named("inner"));
    let outer = limit(&clock).per_ip(RateLimitPolicy::per_hour(4).named("outer").fixed_window());
    let nested = inner.build().unwrap().layer(Probe::default());
    let mut service = outer.build().unwrap().layer(nested);
    let mut answer = |expected_status| -> HeaderMap {
        let response: Response<RateLimitBody<RateLimitBody<Full<Bytes>>>> =
            call_now(&mut service, request()).unwrap();
        assert_eq!(response.status(), expected_status);
        let decision = response.extensions().get::<Decision>().unwrap();
        let closest = decision.closest().unwrap().policy().name().to_string();
        assert!(field(response.headers(), "ratelimit").contains(&closest), "both tell the same");
        response.headers().clone()
    };
    // Half of the inner one's units are left, three quarters of the outer one's.
    let fields = answer(200);
    assert_eq!(field(&fields, "ratelimit"), r#""inner";r=1;t=30"#);
    assert_eq!(field(&fields, "ratelimit-policy"), r#""inner";q=2;w=60"#);
    assert_eq!(field(&fields, "x-ratelimit-limit"), "2");
    answer(200);
    // The inner one denies; the outer one still has a unit left.
    let fields = answer(429);
    assert_eq!(field(&fields, "ratelimit"), r#""inner";r=0;t=30"#);
    clock.advance(Duration::from_secs(60));
    let fields = answer(200);
    assert_eq!(field(&fields, "ratelimit"), r#""outer";r=0;t=3540"#);
    assert_eq!(field(&fields, "x-ratelimit-limit"), "4");
    let fields = answer(429);
    assert_eq!(field(&fields, "ratelimit"), r#""outer";r=0;t=3540"#);
}

#[test]
fn a_nested_layer_that_keeps_its_limits_to_itself_leaves_the_word_to_the_outer_one() {
    let clock = ManualClock::new();
    let inner = limit(&clock)
        .per_ip(RateLimitPolicy::per_minute(2).named("secret"))
        .exposure(rate_limit_tower::Exposure::None);
    let outer = limit(&clock).per_ip(RateLimitPolicy::per_minute(9).named("open"));
    let nested = inner.build().unwrap().layer(Probe::default());
    let mut service = outer.build().unwrap().layer(nested);
    let response: Response<RateLimitBody<RateLimitBody<Full<Bytes>>>> =
        call_now(&mut service, request()).unwrap();
    assert_eq!(field(response.headers(), "ratelimit"), r#""open";r=8;t=54"#);
}

#[test]
fn the_fields_of_a_nested_layer_that_rejected_stay() {
    let clock = ManualClock::new();
    let inner = limit(&clock).per_ip(RateLimitPolicy::per_minute(1).named("strict"));
    let outer = limit(&clock).per_ip(RateLimitPolicy::per_minute(9).named("loose"));
    let nested = inner.build().unwrap().layer(Probe::default());
    let mut service = outer.build().unwrap().layer(nested);
    let mut answer = || -> (u16, HeaderMap) {
        let response: Response<RateLimitBody<RateLimitBody<Full<Bytes>>>> =
            call_now(&mut service, request()).unwrap();
        (response.status().as_u16(), response.headers().clone())
    };
    let (status, fields) = answer();
    assert_eq!((status, field(&fields, "ratelimit")), (200, r#""strict";r=0;t=60"#));
    let (status, fields) = answer();
    assert_eq!((status, field(&fields, "ratelimit")), (429, r#""strict";r=0;t=60"#));
    assert_eq!(field(&fields, "x-ratelimit-remaining"), "0");
}

#[test]
fn a_ban_shows_no_units_although_the_bucket_has_some() {
    let clock = ManualClock::new();
    let ladder =
        PenaltyLadder::after(1, Duration::from_secs(60)).first_ban(Duration::from_secs(900));
    let policy = RateLimitPolicy::per_second(2).named("login").penalty(ladder);
    let mut service = limit(&clock).per_ip(policy).build().unwrap().layer(Probe::default());
    ask(&mut service);
    ask(&mut service);
    let response = ask(&mut service);
    assert_eq!(response.status(), 429);
    assert_eq!(field(response.headers(), "ratelimit"), r#""login";r=0;t=900"#);
    clock.advance(Duration::from_secs(100));
    let response = ask(&mut service);
    assert_eq!(response.status(), 429);
    assert_eq!(field(response.headers(), "ratelimit"), r#""login";r=0;t=800"#);
    assert_eq!(field(response.headers(), "x-ratelimit-remaining"), "0");
    assert_eq!(field(response.headers(), "retry-after"), "800");
}

#[test]
fn a_shadow_policy_never_shows() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .per_ip(RateLimitPolicy::per_minute(3).named("real").fixed_window())
        .per_ip(RateLimitPolicy::per_minute(1).named("ghost").shadow())
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    for status in [200, 200, 200, 429] {
        let response = ask(&mut service);
        assert_eq!(response.status(), status);
        assert_eq!(field(response.headers(), "x-ratelimit-limit"), "3");
        let decision = response.extensions().get::<Decision>().unwrap();
        assert_eq!(decision.shadow().count(), 1, "outer layers see it");
        let shown = format!("{:?}", response.headers());
        assert!(!shown.contains("ghost"), "{shown}");
        let body = crate::support::read(response);
        assert!(!String::from_utf8_lossy(&body).contains("ghost"));
    }
}

#[test]
fn a_layer_with_shadow_policies_only_writes_no_fields() {
    let clock = ManualClock::new();
    let layer = limit(&clock).per_ip(RateLimitPolicy::per_minute(1).shadow()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    for _ in 0..3 {
        let response = ask(&mut service);
        assert_eq!(response.status(), 200);
        assert!(has_no_limit_fields(response.headers()));
    }
}

#[test]
fn exempt_clients_see_no_fields_and_are_not_counted() {
    let clock = ManualClock::new();
    let office = Network::new("192.0.2.0".parse().unwrap(), 24).unwrap();
    let layer = limit(&clock)
        .access(AccessLists::new().exempt_network(office))
        .global(RateLimitPolicy::per_minute(1))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    for _ in 0..5 {
        let response = ask(&mut service);
        assert_eq!(response.status(), 200);
        assert!(has_no_limit_fields(response.headers()));
        assert!(response.extensions().get::<Decision>().is_some_and(|it| it.is_allowed()));
    }
    assert_eq!(crate::support::statuses(&mut service, "198.51.100.1", 2), [200, 429]);
}
