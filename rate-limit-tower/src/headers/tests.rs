//! The copied table and the written one say the same, in every selection.

use std::sync::Arc;

use rate_limit_core::{
    Charge, Charges, ClientIdentity, Decide, Decision, EnforceRateLimit, ManualClock,
    RateLimitPolicy, Timestamp,
};
use rate_limit_memory::MemoryRepository;

use super::*;

fn policies() -> [Arc<RateLimitPolicy>; 2] {
    let build =
        |builder: rate_limit_core::RateLimitPolicyBuilder| Arc::new(builder.build().unwrap());
    [
        build(RateLimitPolicy::per_day(2).named("daily")),
        build(RateLimitPolicy::per_second(50_000).named("burst").sliding_window()),
    ]
}

/// Decisions that pass, that empty the first policy, and that do not pass.
fn decisions(policies: &[Arc<RateLimitPolicy>]) -> Vec<Decision> {
    let store = MemoryRepository::builder().clock(ManualClock::new()).build().unwrap();
    let enforce = EnforceRateLimit::builder(store).without_fallback().build().unwrap();
    let decide = |_| {
        let charge = |policy: &Arc<_>| Charge::new(ClientIdentity::GLOBAL, Arc::clone(policy), 1);
        let charges: Charges = policies.iter().map(charge).collect();
        match enforce.decide(None, charges) {
            Decide::Ready(enforced) => enforced.decision,
            Decide::Pending(_) => panic!("this store answers at once"),
        }
    };
    (0..3).map(decide).collect()
}

fn selections() -> impl Iterator<Item = HeaderFields> {
    let legacy = [None, Some(ResetFormat::EpochSeconds), Some(ResetFormat::DeltaSeconds)];
    let draft = [
        DraftFields::None,
        DraftFields::Revision06,
        DraftFields::Revision07,
        DraftFields::Revision08To11,
    ];
    legacy
        .into_iter()
        .flat_map(move |legacy| draft.into_iter().map(move |draft| HeaderFields { legacy, draft }))
}

#[test]
fn a_copied_table_says_what_one_says_that_is_written_by_name() {
    let told = Told { at: Timestamp::from_nanos(1_795_324_376_500_000_000), stretch_permille: 0 };
    let policies = policies();
    for policies in [&policies[..], &policies[..1]] {
        let list = PolicyList::new(policies.iter());
        for decision in &decisions(policies) {
            for selection in selections() {
                let writer = FieldWriter::new(selection);
                for list in [None, list.as_ref()] {
                    let limits = Limits { decision, told, list };
                    let mut by_name = HeaderMap::new();
                    writer.write(&mut by_name, limits, limits.closest().unwrap());
                    let mut copied = HeaderMap::new();
                    writer.of_limits(limits).unwrap().put_into(&mut copied);
                    assert_eq!(copied, by_name, "{selection:?}");

                    by_name.insert(CONTENT_TYPE, PROBLEM);
                    by_name.insert(CACHE_CONTROL, NO_STORE);
                    assert_eq!(writer.of_problem(None, Some(limits)), by_name, "{selection:?}");
                    by_name.insert(RETRY_AFTER, 7.into());
                    assert_eq!(writer.of_problem(Some(7), Some(limits)), by_name, "{selection:?}");
                }
            }
        }
    }
}
