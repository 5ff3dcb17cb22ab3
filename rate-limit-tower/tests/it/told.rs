//! What clients are told is true, over many states.

use std::time::Duration;

use proptest::prelude::*;
use rate_limit_core::{Clock, ManualClock, PenaltyLadder};
use rate_limit_tower::{RateLimitPolicy, RateLimitPolicyBuilder};
use tower::Layer;

use crate::support::{Probe, ask, field, limit, members, number};

/// A policy of any algorithm, from one per 20 minutes to thousands per second.
fn any_policy() -> impl Strategy<Value = RateLimitPolicyBuilder> {
    let window = prop_oneof![
        (1_u64..3_000).prop_map(Duration::from_millis),
        (1_u64..1_200).prop_map(Duration::from_secs),
        (1_000_000_u64..90_000_000_000).prop_map(Duration::from_nanos),
    ];
    (1_u64..8, window, 0..5).prop_map(|(count, window, algorithm)| {
        let policy = RateLimitPolicy::per(count, window);
        match algorithm {
            0 => policy,
            1 => policy.burst(3),
            2 => policy.fixed_window(),
            3 => policy.sliding_window(),
            _ => policy.sliding_log(),
        }
    })
}

fn pauses() -> impl Strategy<Value = Vec<u64>> {
    let pause = prop_oneof![Just(0), 0_u64..2_000_000_000, 0_u64..100_000_000_000];
    proptest::collection::vec(pause, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    /// On every denial all of the fields agree, and whoever waits as told is admitted.
    #[test]
    fn waiting_as_told_is_enough(
        first in any_policy(),
        second in any_policy(),
        has_ladder in any::<bool>(),
        pauses in pauses(),
    ) {
        let ladder = PenaltyLadder::after(2, Duration::from_secs(5)).first_ban(Duration::from_millis(1_700));
        let second = if has_ladder { second.penalty(ladder) } else { second };
        let clock = ManualClock::new();
        let layer = limit(&clock)
            .per_ip(first.named("first"))
            .global(second.named("second"))
            .build()
            .unwrap();
        let mut service = layer.layer(Probe::default());
        for pause in pauses {
            clock.advance(Duration::from_nanos(pause));
            let response = ask(&mut service);
            let fields = response.headers();
            let limits = members(fields, "ratelimit");
            prop_assert_eq!(members(fields, "ratelimit-policy").len(), 2);
            let now = clock.utc_now().as_nanos().div_ceil(1_000_000_000);
            let reset = number(fields, "x-ratelimit-reset");
            prop_assert!(reset >= now);
            prop_assert!(number(fields, "x-ratelimit-remaining") <= number(fields, "x-ratelimit-limit"));
            if response.status() == 200 {
                prop_assert_eq!(limits.len(), 1, "the closest policy");
                prop_assert!(!fields.contains_key("retry-after"));
                continue;
            }
            let retry_after = number(fields, "retry-after");
            prop_assert!(retry_after >= 1);
            prop_assert_eq!(reset - now, retry_after);
            prop_assert!(limits.iter().all(|(_, limit)| limit["t"] >= 1));
            let longest = limits.iter().map(|(_, limit)| limit["t"]).max();
            prop_assert_eq!(longest, i64::try_from(retry_after).ok());
            clock.advance(Duration::from_secs(retry_after));
            prop_assert_eq!(ask(&mut service).status().as_u16(), 200);
        }
    }

    /// A client that spreads what remains over `t` does not exceed the rate that the policy states.
    #[test]
    fn what_remains_never_promises_more_than_the_rate(policy in any_policy(), pauses in pauses()) {
        let clock = ManualClock::new();
        let mut service = limit(&clock).per_ip(policy).build().unwrap().layer(Probe::default());
        for pause in pauses {
            clock.advance(Duration::from_nanos(pause));
            let response = ask(&mut service);
            let (_, policy) = &members(response.headers(), "ratelimit-policy")[0];
            let (_, limit) = &members(response.headers(), "ratelimit")[0];
            prop_assert!(policy["q"] >= 1 && policy["w"] >= 1 && limit["r"] <= policy["q"]);
            let is_fixed_window = {
                let decision = response.extensions().get::<rate_limit_tower::Decision>();
                let closest = decision.unwrap().closest().unwrap();
                matches!(closest.policy().algorithm(), rate_limit_tower::Algorithm::FixedWindow(_))
            };
            // A fixed window near its end gives out what is left, however little time is left too.
            if response.status() == 200 && limit["r"] > 0 && !is_fixed_window {
                prop_assert!(limit["r"] * policy["w"] <= limit["t"] * policy["q"]);
            }
        }
    }

    /// An empty token bucket has a unit again after `t`, and not a whole second earlier.
    #[test]
    fn an_empty_bucket_says_when_the_next_unit_is_there(
        count in 1_u64..20,
        window in 1_000_000_000_u64..600_000_000_000,
        early in 0_u64..5_000_000_000,
    ) {
        let clock = ManualClock::new();
        let policy = RateLimitPolicy::per(count, Duration::from_nanos(window));
        let mut service = limit(&clock).per_ip(policy).build().unwrap().layer(Probe::default());
        let mut last = None;
        for _ in 0..count {
            clock.advance(Duration::from_nanos(early / 50));
            last = Some(ask(&mut service));
        }
        let response = last.unwrap();
        prop_assert_eq!(response.status().as_u16(), 200);
        prop_assume!(field(response.headers(), "x-ratelimit-remaining") == "0");
        let seconds = members(response.headers(), "ratelimit")[0].1["t"];
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap());
        clock.advance(seconds - Duration::from_secs(1));
        prop_assert_eq!(ask(&mut service).status().as_u16(), 429);
        clock.advance(Duration::from_secs(1));
        prop_assert_eq!(ask(&mut service).status().as_u16(), 200);
    }
}
