//! Compares the text with what `serde_json` makes of the same things.

use std::sync::Arc;

use proptest::prelude::*;
use rate_limit_core::conformance::ModelRepository;
use rate_limit_core::{
    Charge, Charges, ClientIdentity, Decide, Decision, EnforceRateLimit, ManualClock,
    RateLimitPolicy, Timestamp,
};

use super::*;
use crate::quota::Told;

/// The document as a tree: one field after the other, as the text has them.
#[derive(Serialize)]
struct Expected<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    violated_policies: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limits_exceeded: Vec<Limit<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limits: Vec<Limit<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation_url: Option<&'a str>,
}

#[derive(Serialize)]
struct Limit<'a> {
    policy: &'a str,
    limit: u64,
    window_seconds: serde_json::Number,
    remaining: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// The type and the title, where types are described below `base`.
fn kind(rejection: &Rejection<'_>, base: &str) -> (String, &'static str) {
    let (name, title) = match (rejection.reason, rejection.exposure) {
        (RejectionReason::Block, _) => (None, "Forbidden"),
        (RejectionReason::MissingIdentity, _) => (None, "Bad Request"),
        (RejectionReason::ReducedCapacity, Exposure::None) => (None, "Service Unavailable"),
        (_, Exposure::None) => (None, "Too Many Requests"),
        (RejectionReason::AbnormalUsage, _) => {
            (Some("abnormal-usage-detected"), "Abnormal Usage Detected")
        }
        (RejectionReason::QuotaExceeded, _) => (Some("quota-exceeded"), "Quota Exceeded"),
        (RejectionReason::ReducedCapacity, _) => {
            (Some("temporary-reduced-capacity"), "Temporary Reduced Capacity")
        }
    };
    (name.map_or("about:blank".to_owned(), |name| format!("{base}{name}")), title)
}

fn expected(rejection: &Rejection<'_>, base: &str) -> String {
    let limit_of = |one| limit(rejection, one);
    let is_denial = rejection.reason.is_denial();
    let is_full = is_denial && rejection.exposure == Exposure::Full;
    let (r#type, title) = kind(rejection, base);
    let mut detail = Text::<64>::new();
    wording::push_detail(&mut detail, rejection, "\"");
    let document = Expected {
        r#type,
        title,
        status: rejection.reason.status().as_u16(),
        detail: detail.as_str().to_owned(),
        violated_policies: violated(rejection).map(name).collect(),
        limits_exceeded: violated(rejection).filter(|_| is_denial).map(limit_of).collect(),
        limits: told(rejection)
            .filter(|_| is_full)
            .map_or(vec![], |one| one.enforced().map(limit_of).collect()),
        retry_after: rejection.retry_after_seconds,
        documentation_url: rejection.documentation_url,
    };
    serde_json::to_string(&document).unwrap()
}

fn limit<'a>(rejection: &Rejection<'_>, one: &'a PolicyOutcome) -> Limit<'a> {
    let window = one.policy().window();
    let waits = one.outcome().is_violated();
    Limit {
        policy: name(one),
        limit: one.policy().limit(),
        window_seconds: match window.subsec_nanos() {
            0 => window.as_secs().into(),
            _ => serde_json::Number::from_f64(window.as_secs_f64()).unwrap(),
        },
        remaining: quota::available(one),
        cost: (rejection.exposure == Exposure::Full).then(|| one.units()),
        retry_after: waits
            .then(|| rejection.told.retry_after_seconds(one.outcome().wait))
            .flatten(),
    }
}

/// What is decided of the last of some requests under these policies.
fn decision(policies: &[RateLimitPolicy], costs: &[u64]) -> Decision {
    let store = ModelRepository::new(ManualClock::new());
    let limit = EnforceRateLimit::builder(store).without_fallback().build().unwrap();
    let policies: Vec<_> = policies.iter().cloned().map(Arc::new).collect();
    let mut last = None;
    for units in costs {
        let charge = |policy: &Arc<RateLimitPolicy>| {
            Charge::new(ClientIdentity::GLOBAL, policy.clone(), *units)
        };
        let charges: Charges = policies.iter().map(charge).collect();
        let Decide::Ready(enforced) = limit.decide(None, charges) else { unreachable!() };
        last = Some(enforced.decision);
    }
    last.unwrap()
}

fn policy(index: usize) -> impl Strategy<Value = RateLimitPolicy> {
    let window = prop_oneof![
        (1_u64..100_000).prop_map(Duration::from_secs),
        (1_000_000_u64..90_000_000_000).prop_map(Duration::from_nanos),
    ];
    (1_u64..5, window, any::<bool>()).prop_map(move |(limit, window, is_shadow)| {
        let policy = RateLimitPolicy::per(limit, window).named(format!("policy-{index}:a.b_c"));
        if is_shadow { policy.shadow() } else { policy }.build().unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn the_text_is_what_serde_would_write(
        policies in (0_usize..6).prop_flat_map(|count| (0..count).map(policy).collect::<Vec<_>>()),
        costs in proptest::collection::vec(1_u64..8, 1..5),
        reason in prop_oneof![
            Just(RejectionReason::AbnormalUsage),
            Just(RejectionReason::Block),
            Just(RejectionReason::MissingIdentity),
            Just(RejectionReason::QuotaExceeded),
            Just(RejectionReason::ReducedCapacity),
        ],
        exposure in prop_oneof![Just(Exposure::None), Just(Exposure::Minimal), Just(Exposure::Full)],
        stretch_permille in 0_u64..100,
        base in any::<String>(),
        url in proptest::option::of(any::<String>()),
    ) {
        let decision = decision(&policies, &costs);
        let decision = (reason != RejectionReason::MissingIdentity).then_some(&decision);
        let told = Told { at: Timestamp::ORIGIN, stretch_permille };
        let rejection = Rejection {
            reason,
            decision,
            exposure,
            told,
            retry_after_seconds: decision.and_then(|one| reason.retry_after_seconds(one, told)),
            documentation_url: url.as_deref(),
            problem_types: &ProblemTypes::below(&base),
        };
        let document = document(&rejection, None);
        prop_assert_eq!(str::from_utf8(&document).unwrap(), expected(&rejection, &base));
    }
}

/// Denials of one policy that differ in what remains and in when to try again.
#[test]
fn a_form_says_what_is_written_anew_otherwise() {
    let policies = [
        RateLimitPolicy::per(2, Duration::from_secs(2)).named("few").build().unwrap(),
        RateLimitPolicy::per_day(1_000_000).named("many").build().unwrap(),
        RateLimitPolicy::per_day(1).named("tried").shadow().build().unwrap(),
    ];
    let decisions =
        [&[1, 1, 1][..], &[2, 2], &[1, 2], &[1, 1, 2]].map(|one| decision(&policies, one));
    for exposure in [Exposure::None, Exposure::Minimal, Exposure::Full] {
        for url in [None, Some("https://example.com/\"limits\"")] {
            let form = OnceLock::new();
            let mut texts = std::collections::HashSet::new();
            for (decision, stretch_permille) in decisions.iter().zip([0, 0, 0, 5_000]) {
                let told = Told { at: Timestamp::ORIGIN, stretch_permille };
                let reason = RejectionReason::of(decision);
                let rejection = Rejection {
                    reason,
                    decision: Some(decision),
                    exposure,
                    told,
                    retry_after_seconds: reason.retry_after_seconds(decision, told),
                    documentation_url: url,
                    problem_types: &ProblemTypes::default(),
                };
                let filled = document(&rejection, Some(&form));
                assert_eq!(filled, document(&rejection, None));
                texts.insert(filled);
            }
            let different = if exposure == Exposure::None { 3 } else { 4 };
            assert_eq!(texts.len(), different, "waits of 1, 2, 1 and 12 seconds, 1 unit left once");
            assert_eq!(form.get().is_none(), exposure == Exposure::Full);
        }
    }
}
