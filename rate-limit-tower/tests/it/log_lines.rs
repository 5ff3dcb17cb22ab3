//! What is logged, and what is not.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use rate_limit_core::conformance::doubles::FailingRepository;
use rate_limit_core::{ManualClock, RepositoryErrorKind};
use rate_limit_tower::{FailureMode, Key, RateLimitLayer, RateLimitPolicy, Rule};
use tower::Layer;

use crate::listener::{Line, listening};
use crate::support::{Probe, get, limit, request, request_from, statuses, statuses_of, store};

/// The lines about requests.
fn exceeded(lines: &[Line]) -> Vec<&Line> {
    lines.iter().filter(|line| line.contains_key("verdict")).collect()
}

#[test]
fn a_denial_says_which_limit_of_which_rule() {
    let lines = listening(|| {
        let rule = Rule::new("login").path("/login").policy(RateLimitPolicy::per_day(2));
        let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
        statuses_of(&mut layer.layer(Probe::default()), ["/login"; 5].map(get));
    });
    let lines = exceeded(&lines);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let mut line: BTreeMap<_, _> = (*line).clone();
    assert_eq!(line.remove("client_id").unwrap().len(), 16);
    let expected = [
        ("current_count", "2"),
        ("degraded", "false"),
        ("endpoint", "login"),
        ("level", "INFO"),
        ("limit", "2"),
        ("message", "rate limit exceeded"),
        ("policy", "login"),
        ("suppressed", "0"),
        ("verdict", "deny"),
    ];
    assert_eq!(line, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn one_client_has_one_id_and_another_has_another() {
    let clock = ManualClock::new();
    let lines = listening(|| {
        let layer = limit(&clock).per_ip(RateLimitPolicy::per_day(1)).build().unwrap();
        let mut service = layer.layer(Probe::default());
        for peer in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
            statuses(&mut service, peer, 2);
            clock.advance(Duration::from_secs(1));
        }
    });
    let ids: Vec<_> = exceeded(&lines).iter().map(|line| line["client_id"].clone()).collect();
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn would_deny_and_ban_and_unavailable_are_told_apart() {
    let clock = ManualClock::new();
    let lines = listening(|| {
        let shadow = RateLimitPolicy::per_day(1).named("trial").shadow();
        let layer = limit(&clock).per_ip(shadow).build().unwrap();
        statuses(&mut layer.layer(Probe::default()), "192.0.2.1", 3);

        let broken =
            FailingRepository::after(u64::MAX, RepositoryErrorKind::Timeout, store(&clock));
        broken.fail();
        let policy = RateLimitPolicy::per_day(1).on_failure(FailureMode::Deny);
        let layer = RateLimitLayer::builder(broken).without_fallback().per_ip(policy).clock(clock);
        statuses(&mut layer.build().unwrap().layer(Probe::default()), "192.0.2.1", 3);
    });
    let verdicts: Vec<_> = exceeded(&lines).iter().map(|line| line["verdict"].clone()).collect();
    assert_eq!(verdicts, ["would_deny", "unavailable"]);
}

/// O04.
#[test]
fn an_attack_writes_one_line_per_second_and_says_how_many_it_has_not_written() {
    const DENIALS: u64 = 1_000_000;
    const SECONDS: u64 = 50;
    let clock = ManualClock::new();
    let lines = listening(|| {
        let policy = RateLimitPolicy::per_day(1).fixed_window();
        let layer = limit(&clock).per_ip(policy).build().unwrap();
        let mut service = layer.layer(Probe::default());
        statuses(&mut service, "192.0.2.1", 1);
        for _ in 0..DENIALS {
            statuses(&mut service, "192.0.2.1", 1);
            clock.advance(Duration::from_secs(SECONDS) / u32::try_from(DENIALS).unwrap());
        }
        // The last line tells what is left.
        statuses(&mut service, "192.0.2.1", 1);
    });
    let lines = exceeded(&lines);
    assert_eq!(lines.len() as u64, SECONDS + 1);
    let suppressed: u64 = lines.iter().map(|line| line["suppressed"].parse::<u64>().unwrap()).sum();
    assert_eq!(suppressed + lines.len() as u64, DENIALS + 1, "nothing is lost");
}

/// O02: what clients send is in no line and in no metric.
#[test]
fn no_secret_is_logged_or_counted() {
    const CANARIES: [&str; 5] =
        ["canary-key", "canary-user", "canary-path", "canary-token", "203.0.113.77"];
    let clock = ManualClock::new();
    let metrics = metrics_util::debugging::DebuggingRecorder::new();
    let lines = listening(|| {
        metrics::with_local_recorder(&metrics, || {
            let policy = |name: &str| RateLimitPolicy::per_day(1).named(name.to_owned());
            let rule = |name: &str, key| {
                Rule::new(name)
                    .group(name)
                    .key(key)
                    .policy(policy(name))
                    .policy(RateLimitPolicy::per_day(1).named(format!("{name}-trial")).shadow())
            };
            let layer = limit(&clock)
                .rule(rule("address", Key::ip()))
                .rule(rule("key", Key::api_key("x-api-key")))
                .rule(rule("user", Key::header("x-user")))
                .build()
                .unwrap();
            let mut service = layer.layer(Probe::default());
            for _ in 0..1_000 {
                let mut request = request_from("203.0.113.77");
                *request.uri_mut() = "/canary-path?q=canary-path".parse().unwrap();
                let fields = request.headers_mut();
                fields.insert("x-api-key", "canary-key".parse().unwrap());
                fields.insert("x-user", "canary-user".parse().unwrap());
                fields.insert("authorization", "Bearer canary-token".parse().unwrap());
                statuses_of(&mut service, [request]);
                clock.advance(Duration::from_millis(100));
            }
        });
    });
    assert!(exceeded(&lines).len() >= 100, "there was something to say");
    let told = format!("{lines:?} {:?}", metrics.snapshotter().snapshot().into_vec());
    for canary in CANARIES {
        assert!(!told.contains(canary), "{canary} is told");
    }
}

#[test]
fn a_request_that_passes_writes_nothing() {
    let lines = listening(|| {
        let policy = RateLimitPolicy::per_day(10);
        let layer = limit(&ManualClock::new()).per_ip(policy).build().unwrap();
        statuses_of(&mut layer.layer(Probe::default()), [request(), request()]);
        let layer = limit(&ManualClock::new()).global(RateLimitPolicy::per_day(1)).build();
        statuses_of(&mut layer.unwrap().layer(Probe::default()), [Request::new(())]);
    });
    assert!(lines.is_empty(), "{lines:?}");
}
