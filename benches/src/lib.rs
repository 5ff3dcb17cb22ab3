//! Workloads that the benchmarks share: who asks, and under which limits.

pub mod baseline;
pub mod turns;
pub mod workload;

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use rate_limit_core::{
    Answer, Charge, Charges, ClientIdentity, PolicyError, RateLimitPolicy, RateLimitRepository,
};

/// Whether the measured decisions admit or deny.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Path {
    /// Every decision admits: the limit is too high to be reached.
    Admitted,
    /// Every decision denies: each key was exhausted before, and gets a unit back once an hour.
    Denied,
}

impl Path {
    /// For the name of a benchmark.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Denied => "denied",
        }
    }

    /// The limit for [`Floor`](baseline::Floor): burst, and nanoseconds until a unit is back.
    pub fn floor_limit(self) -> (u64, u64) {
        match self {
            Self::Admitted => (HUGE_BURST.into(), 1_000_000_000 / u64::from(UNREACHABLE)),
            Self::Denied => (1, 3_600_000_000_000),
        }
    }
}

/// A million per second with a burst of four billion: no loop of a benchmark gets there.
const UNREACHABLE: u32 = 1_000_000;
const HUGE_BURST: u32 = u32::MAX;

/// `count` different addresses, in an order that no cache can guess.
pub fn addresses(count: usize) -> Vec<IpAddr> {
    // Multiplying by an odd number permutes the 32-bit numbers.
    let address = |number: u32| Ipv4Addr::from(number.wrapping_mul(2_654_435_761)).into();
    (0..u32::try_from(count).unwrap_or(u32::MAX)).map(address).collect()
}

/// `count` policies for one path, named so that they are different buckets.
///
/// # Errors
///
/// Never, since the numbers above are accepted.
pub fn policies(path: Path, count: usize) -> Result<Vec<Arc<RateLimitPolicy>>, PolicyError> {
    let policy = |number: usize| {
        let builder = match path {
            Path::Admitted => {
                RateLimitPolicy::per_second(UNREACHABLE.into()).burst(HUGE_BURST.into())
            }
            Path::Denied => RateLimitPolicy::per(1, Duration::from_secs(3_600)),
        };
        builder.named(format!("p{number}")).build().map(Arc::new)
    };
    (0..count).map(policy).collect()
}

/// The charges of one request from `address`, as the layer makes them.
pub fn charges(address: IpAddr, policies: &[Arc<RateLimitPolicy>]) -> Charges {
    let identity = ClientIdentity::ip(address);
    match policies {
        [policy] => Charges::one(Charge::new(identity, policy.clone(), 1)),
        policies => {
            policies.iter().map(|policy| Charge::new(identity.clone(), policy.clone(), 1)).collect()
        }
    }
}

/// One decision of ours on charges that are given.
pub fn decide(store: &impl RateLimitRepository, charges: &Charges) -> bool {
    // By reference, because an answer is a large value and nobody keeps this one.
    match &store.acquire(charges) {
        Answer::Ready(Ok(outcomes)) => match outcomes.single() {
            Some(outcome) => !outcome.is_violated(),
            None => outcomes.iter().all(|outcome| !outcome.is_violated()),
        },
        _ => false,
    }
}

/// Governor's limiter with one key per address, under the same limit, with its default store and
/// hasher.
pub type Governor<C> = RateLimiter<
    IpAddr,
    DefaultKeyedStateStore<IpAddr>,
    C,
    NoOpMiddleware<<C as governor::clock::Clock>::Instant>,
>;

/// A [`Governor`] on a clock of its own.
pub fn governor<C: governor::clock::Clock>(path: Path, clock: C) -> Governor<C> {
    let one = NonZeroU32::MIN;
    let quota = match path {
        Path::Admitted => Quota::per_second(NonZeroU32::new(UNREACHABLE).unwrap_or(one))
            .allow_burst(NonZeroU32::new(HUGE_BURST).unwrap_or(one)),
        Path::Denied => Quota::per_hour(one),
    };
    RateLimiter::dashmap_with_clock(quota, clock)
}
