//! What the tests share.

use std::sync::Arc;

use rate_limit_core::{
    Answer, Charge, Charges, ClientIdentity, ManualClock, Outcome, Outcomes, RateLimitPolicy,
    RateLimitPolicyBuilder, RateLimitRepository,
};
use rate_limit_memory::MemoryRepository;

pub(crate) fn store(clock: &ManualClock, max_keys: usize) -> MemoryRepository<ManualClock> {
    MemoryRepository::builder().clock(clock.clone()).max_keys(max_keys).build().unwrap()
}

pub(crate) fn policy(builder: RateLimitPolicyBuilder) -> Arc<RateLimitPolicy> {
    Arc::new(builder.build().unwrap())
}

pub(crate) fn user(number: usize) -> ClientIdentity {
    ClientIdentity::user(number.to_string()).unwrap()
}

pub(crate) fn acquire(store: &(impl RateLimitRepository + ?Sized), charges: &Charges) -> Outcomes {
    match store.acquire(charges) {
        Answer::Ready(outcomes) => outcomes.unwrap(),
        Answer::Pending(_) => panic!("the memory store answers at once"),
    }
}

pub(crate) fn outcome(
    store: &(impl RateLimitRepository + ?Sized),
    identity: ClientIdentity,
    policy: &Arc<RateLimitPolicy>,
    units: u64,
) -> Outcome {
    let charges = Charges::one(Charge::new(identity, policy.clone(), units));
    *acquire(store, &charges).get(0).unwrap()
}

pub(crate) fn passes(store: &(impl RateLimitRepository + ?Sized), charges: &Charges) -> bool {
    acquire(store, charges).iter().all(|outcome| !outcome.is_violated())
}

pub(crate) fn ask(
    store: &(impl RateLimitRepository + ?Sized),
    identity: ClientIdentity,
    policy: &Arc<RateLimitPolicy>,
    units: u64,
) -> bool {
    !outcome(store, identity, policy, units).is_violated()
}
