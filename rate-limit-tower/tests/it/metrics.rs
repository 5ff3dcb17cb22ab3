//! What is counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use rate_limit_core::conformance::doubles::{FailingRepository, SlowRepository};
use rate_limit_core::{ManualClock, RepositoryErrorKind};
use rate_limit_tower::{
    FailureMode, Key, MissingIdentity, PenaltyLadder, Policies, RateLimitLayer, RateLimitPolicy,
    Rule,
};
use tower::{Layer, Service};

use crate::support::{
    Probe, get, is_ready, limit, request, request_from, statuses, statuses_of, store,
};

/// Runs `test` with a recorder of its own.
fn recorded(test: impl FnOnce(&Recorded)) {
    let recorder = DebuggingRecorder::new();
    let recorded = Recorded(recorder.snapshotter());
    metrics::with_local_recorder(&recorder, || test(&recorded));
}

struct Recorded(Snapshotter);

impl Recorded {
    /// All series by name and labels, since they were last looked at.
    fn series(&self) -> BTreeMap<String, DebugValue> {
        let series = self.0.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
            let key = key.key();
            let labels: Vec<_> =
                key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            (format!("{}{{{}}}", key.name(), labels.join(",")), value)
        });
        series.collect()
    }

    /// The counters that have counted something.
    fn counted(&self) -> Vec<(String, u64)> {
        let counters = self.series().into_iter().filter_map(|(name, value)| match value {
            DebugValue::Counter(count) if count > 0 => Some((name, count)),
            _ => None,
        });
        counters.collect()
    }

    #[track_caller]
    fn assert_counted(&self, expected: &[(&str, u64)]) {
        let counted = self.counted();
        let counted: Vec<_> = counted.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(counted, expected);
    }
}

#[test]
fn requests_are_counted_by_rule_policy_and_outcome() {
    recorded(|recorded| {
        let clock = ManualClock::new();
        let layer = limit(&clock)
            .rule(
                Rule::new("login")
                    .path("/login")
                    .policy(RateLimitPolicy::per_day(2))
                    .policy(RateLimitPolicy::per_day(1).named("trial").shadow()),
            )
            .rule(Rule::unmatched().policy(RateLimitPolicy::per_day(100).named("rest")))
            .block(|request| request.path() == "/blocked")
            .exempt(|request| request.path() == "/health")
            .build()
            .unwrap();
        let paths = ["/login", "/login", "/login", "/else", "/blocked", "/health", "/health"];
        statuses_of(&mut layer.layer(Probe::default()), paths.map(get));
        recorded.assert_counted(&[
            ("rate_limit_exceeded_total{rule=login,policy=login}", 1),
            ("rate_limit_requests_total{rule=login,policy=login,outcome=allowed}", 2),
            ("rate_limit_requests_total{rule=login,policy=login,outcome=denied}", 1),
            ("rate_limit_requests_total{rule=login,policy=trial,outcome=allowed}", 1),
            ("rate_limit_requests_total{rule=login,policy=trial,outcome=would_deny}", 2),
            ("rate_limit_requests_total{rule=unmatched,policy=,outcome=blocked}", 1),
            ("rate_limit_requests_total{rule=unmatched,policy=,outcome=exempt}", 2),
            ("rate_limit_requests_total{rule=unmatched,policy=rest,outcome=allowed}", 1),
        ]);
    });
}

/// The policy that had room took nothing, so it counts nothing.
#[test]
fn a_request_that_another_policy_turned_away_is_counted_where_it_was() {
    recorded(|recorded| {
        let layer = limit(&ManualClock::new())
            .per_ip(RateLimitPolicy::per_day(1).named("mine"))
            .global(RateLimitPolicy::per_day(10).named("system"))
            .build()
            .unwrap();
        statuses_of(&mut layer.layer(Probe::default()), [request(), request(), request()]);
        recorded.assert_counted(&[
            ("rate_limit_exceeded_total{rule=per-IP,policy=mine}", 2),
            ("rate_limit_requests_total{rule=global,policy=system,outcome=allowed}", 1),
            ("rate_limit_requests_total{rule=per-IP,policy=mine,outcome=allowed}", 1),
            ("rate_limit_requests_total{rule=per-IP,policy=mine,outcome=denied}", 2),
        ]);
    });
}

#[test]
fn bans_missing_identities_and_requests_without_rules() {
    recorded(|recorded| {
        let ladder = PenaltyLadder::after(1, Duration::from_secs(60));
        let policy = RateLimitPolicy::per_day(1).penalty(ladder);
        let key = Key::header("x-tenant");
        let layer = limit(&ManualClock::new())
            .rule(Rule::new("a").path("/a").policy(policy))
            .rule(
                Rule::new("b")
                    .path("/b")
                    .key(key)
                    .on_missing_identity(MissingIdentity::Reject)
                    .policy(RateLimitPolicy::per_day(1)),
            )
            .build()
            .unwrap();
        let paths = ["/a", "/a", "/a", "/a", "/b", "/c", "/d"];
        statuses_of(&mut layer.layer(Probe::default()), paths.map(get));
        let counted = recorded.counted();
        let of = |labels: &str| {
            let name = format!("rate_limit_requests_total{{{labels}}}");
            counted.iter().find(|(counted, _)| *counted == name).map_or(0, |(_, count)| *count)
        };
        assert_eq!(of("rule=a,policy=a,outcome=allowed"), 1);
        let (denied, banned) =
            (of("rule=a,policy=a,outcome=denied"), of("rule=a,policy=a,outcome=banned"));
        assert!(denied + banned == 3 && banned >= 2, "{counted:?}");
        assert_eq!(of("rule=b,policy=,outcome=missing_identity"), 1);
        assert_eq!(of("rule=,policy=,outcome=allowed"), 2);
    });
}

/// A policy that is made per request must not make a series.
#[test]
fn policies_that_are_chosen_share_one_label() {
    recorded(|recorded| {
        let rule = Rule::new("tiers").policies_from(|request| {
            let name = request.path().trim_start_matches('/').to_owned();
            Policies::new([RateLimitPolicy::per_day(10).named(name)]).ok()
        });
        let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
        let before = recorded.series().len();
        let mut service = layer.layer(Probe::default());
        statuses_of(&mut service, (0..100).map(|tier| get(&format!("/tier-{tier}"))));
        let after = recorded.series();
        assert_eq!(after.len(), before);
        let chosen = "rate_limit_requests_total{rule=tiers,policy=chosen,outcome=allowed}";
        assert_eq!(after[chosen], DebugValue::Counter(100));
    });
}

/// O01, G17.
#[test]
fn the_number_of_series_does_not_grow_with_clients_and_paths() {
    recorded(|recorded| {
        let layer = limit(&ManualClock::new())
            .rule(Rule::new("a").path("/a/{id}").policy(RateLimitPolicy::per_day(1)))
            .rule(Rule::unmatched().policy(RateLimitPolicy::per_day(1).named("rest")))
            .build()
            .unwrap();
        let before: Vec<_> = recorded.series().into_keys().collect();
        let mut service = layer.layer(Probe::default());
        let requests = (0_u32..1_000_000).map(|number| {
            let mut request = request_from(&std::net::Ipv4Addr::from(number).to_string());
            let path = if number % 2 == 0 { "/a" } else { "/b" };
            *request.uri_mut() = format!("{path}/{number}").parse().unwrap();
            request
        });
        statuses_of(&mut service, requests);
        let after = recorded.series();
        for series in ["rule=a,policy=a", "rule=unmatched,policy=rest"] {
            let allowed = format!("rate_limit_requests_total{{{series},outcome=allowed}}");
            assert_eq!(after[&allowed], DebugValue::Counter(500_000));
        }
        assert_eq!(after.into_keys().collect::<Vec<_>>(), before);
    });
}

/// O04: however few lines are written, every denial is counted.
#[test]
fn counters_are_exact_under_attack() {
    recorded(|recorded| {
        let policy = RateLimitPolicy::per_day(1).fixed_window();
        let layer = limit(&ManualClock::new()).per_ip(policy).build().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let mut service = layer.layer(Probe::default());
                scope.spawn(move || statuses(&mut service, "192.0.2.1", 250_000));
            }
        });
        recorded.assert_counted(&[
            ("rate_limit_exceeded_total{rule=per-IP,policy=default}", 999_999),
            ("rate_limit_requests_total{rule=per-IP,policy=default,outcome=allowed}", 1),
            ("rate_limit_requests_total{rule=per-IP,policy=default,outcome=denied}", 999_999),
        ]);
    });
}

#[test]
fn a_store_that_does_not_answer_is_counted() {
    recorded(|recorded| {
        let clock = ManualClock::new();
        let broken =
            FailingRepository::after(u64::MAX, RepositoryErrorKind::Timeout, store(&clock));
        broken.fail();
        let layer = RateLimitLayer::builder(broken)
            .fallback(store(&clock))
            .rule(
                Rule::new("local")
                    .path("/local")
                    .policy(RateLimitPolicy::per_day(2).named("shadow").shadow())
                    .policy(RateLimitPolicy::per_day(1).on_failure(FailureMode::Local)),
            )
            .rule(
                Rule::new("deny")
                    .path("/deny")
                    .policy(RateLimitPolicy::per_day(1).on_failure(FailureMode::Deny)),
            )
            .build()
            .unwrap();
        statuses_of(&mut layer.layer(Probe::default()), ["/local", "/local", "/deny"].map(get));
        let counted = recorded.counted();
        let has = |name: &str, count: u64| counted.contains(&(name.to_owned(), count));
        assert!(has("rate_limit_degraded_total{}", 3), "{counted:?}");
        assert!(has("rate_limit_store_errors_total{kind=timeout}", 3), "{counted:?}");
        let requests = |labels: &str| format!("rate_limit_requests_total{{{labels}}}");
        assert!(has(&requests("rule=local,policy=local,outcome=allowed"), 1), "{counted:?}");
        assert!(has(&requests("rule=local,policy=local,outcome=denied"), 1), "{counted:?}");
        assert!(has(&requests("rule=deny,policy=,outcome=unavailable"), 1), "{counted:?}");
    });
}

#[test]
fn a_store_that_answers_later_is_timed_and_one_that_answers_at_once_is_not() {
    recorded(|recorded| {
        let latencies = || match &recorded.series()["rate_limit_store_latency_seconds{}"] {
            DebugValue::Histogram(values) => {
                values.iter().map(|value| value.into_inner()).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        let clock = ManualClock::new();
        let policy = || RateLimitPolicy::per_day(10);
        let at_once = limit(&clock).per_ip(policy()).build().unwrap();
        statuses_of(&mut at_once.layer(Probe::default()), [request()]);
        assert!(latencies().is_empty());

        let (slow, release) = SlowRepository::around(store(&clock));
        let slow = Arc::new(slow);
        let layer = RateLimitLayer::builder(slow)
            .without_fallback()
            .clock(clock.clone())
            .per_ip(policy())
            .build()
            .unwrap();
        let mut service = layer.layer(Probe::default());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(is_ready(&mut service));
        let mut response = Box::pin(service.call(request()));
        assert!(response.as_mut().poll(cx).is_pending());
        clock.advance(Duration::from_millis(250));
        release.one();
        assert!(matches!(response.as_mut().poll(cx), Poll::Ready(Ok(_))));
        assert_eq!(latencies(), [0.25]);
    });
}

#[test]
fn metrics_are_described() {
    recorded(|recorded| {
        let _layer =
            limit(&ManualClock::new()).per_ip(RateLimitPolicy::per_day(1)).build().unwrap();
        for (key, _, description, _) in recorded.0.snapshot().into_vec() {
            assert!(description.is_some(), "{key:?}");
        }
    });
}
