//! A store that counts how often it is asked, and short ways to ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rate_limit_core::conformance::{SimpleRepository, block_on};
use rate_limit_core::{
    Acquire, Adjustment, Adjustments, Change, Charge, Charges, ClientIdentity, ManualClock,
    Outcome, Outcomes, RateLimitPolicy, RateLimitPolicyBuilder, RateLimitRepository, Settle,
};
use rate_limit_redis::DenialCache;

pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) type Policy = Arc<RateLimitPolicy>;

/// The simple store, and the number of calls that reached it.
pub(crate) struct Counting {
    store: SimpleRepository<ManualClock>,
    asked: AtomicU64,
}

impl RateLimitRepository for Counting {
    fn acquire(&self, charges: &Charges) -> Acquire {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.store.acquire(charges)
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        self.store.settle(adjustments)
    }
}

/// A store behind a memory, on one clock.
pub(crate) struct Bed {
    pub(crate) clock: ManualClock,
    pub(crate) cache: DenialCache<Counting, ManualClock>,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new();
        let store = SimpleRepository::new(clock.clone());
        let counting = Counting { store, asked: AtomicU64::new(0) };
        Self { cache: DenialCache::new(counting, clock.clone()), clock }
    }

    pub(crate) fn advance_nanos(&self, nanos: u64) {
        self.clock.advance(std::time::Duration::from_nanos(nanos));
    }

    pub(crate) fn ask(&self, charges: impl IntoIterator<Item = Charge>) -> Outcomes {
        block_on(self.cache.acquire(&charges.into_iter().collect())).unwrap()
    }

    /// One charge of everybody's bucket.
    pub(crate) fn take(&self, policy: &Policy, units: u64) -> Outcome {
        *self.ask([charge(policy, units)]).get(0).unwrap()
    }

    /// How often the store was asked so far.
    pub(crate) fn asked(&self) -> u64 {
        self.cache.repository().asked.load(Ordering::Relaxed)
    }

    /// How often the store is asked meanwhile.
    pub(crate) fn asked_by(&self, work: impl FnOnce()) -> u64 {
        let before = self.asked();
        work();
        self.asked() - before
    }

    /// Gives back one unit of a charge.
    pub(crate) fn refund(&self, policy: &Policy, outcome: &Outcome) {
        let adjustment = Adjustment {
            identity: ClientIdentity::GLOBAL,
            policy: policy.clone(),
            charged: outcome.charged.unwrap(),
            units: 1,
            change: Change::Refund(1),
        };
        block_on(self.cache.settle(&[adjustment].into_iter().collect())).unwrap();
    }
}

pub(crate) fn charge(policy: &Policy, units: u64) -> Charge {
    Charge::new(ClientIdentity::GLOBAL, policy.clone(), units)
}

pub(crate) fn policy(builder: RateLimitPolicyBuilder) -> Policy {
    Arc::new(builder.build().unwrap())
}
