//! The port, implemented.

use rate_limit_core::{
    Acquire, Adjustments, Answer, Charges, ClientIdentity, Clock, RateLimitPolicy,
    RateLimitRepository, Record, Settle, adjust, evaluate,
};
use smallvec::SmallVec;

use crate::builder::MemoryRepositoryBuilder;
use crate::clock::SystemClock;
use crate::documents::Documents;
use crate::key::{IdentityDigest, KeyRing};
use crate::stats::MemoryStats;
use crate::store::{Place, Store};
use crate::sync::Ordering;

/// Buckets in the memory of this process.
///
/// Answers at once and never fails. Share it in an [`Arc`](std::sync::Arc), which is a repository
/// too.
///
/// # Example: a store for at most ten thousand clients
///
/// ```
/// use rate_limit_memory::MemoryRepository;
///
/// let store = MemoryRepository::builder().max_keys(10_000).build()?;
/// assert_eq!(store.stats().taken, 0);
/// # Ok::<(), rate_limit_memory::MemoryError>(())
/// ```
#[derive(Debug)]
pub struct MemoryRepository<C = SystemClock> {
    pub(crate) store: Store<C>,
    keys: KeyRing,
    pub(crate) documents: Documents,
}

impl MemoryRepository {
    /// A store for at most 1,000,000 keys on the operating system's clock.
    pub fn new() -> Self {
        Self::from_parts(
            SystemClock::new(),
            MemoryRepositoryBuilder::<SystemClock>::DEFAULT_MAX_KEYS,
        )
    }

    /// Begins to build a store.
    pub fn builder() -> MemoryRepositoryBuilder<SystemClock> {
        MemoryRepositoryBuilder::new()
    }
}

impl Default for MemoryRepository {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clock> MemoryRepository<C> {
    pub(crate) fn from_parts(clock: C, max_keys: usize) -> Self {
        let store = Store::new(clock, max_keys, shard_count());
        Self { store, keys: KeyRing::new(), documents: Documents::default() }
    }

    /// How full the store is and what it had to forget.
    pub fn stats(&self) -> MemoryStats {
        self.store.counters.read(self.store.taken.load(Ordering::Relaxed), self.store.cap)
    }

    pub(crate) fn place<'a>(
        &self,
        identity: &ClientIdentity,
        policy: &'a RateLimitPolicy,
    ) -> Place<'a> {
        self.store.place(self.keys.digest(identity), policy)
    }

    /// The places of all charges. The policies of one rule share an identity, which is then hashed
    /// once.
    fn places<'a>(&self, charges: &'a Charges) -> impl Iterator<Item = Place<'a>> {
        let mut last: Option<(&ClientIdentity, IdentityDigest)> = None;
        charges.iter().map(move |charge| {
            let digest = match last {
                Some((identity, digest)) if identity == charge.identity() => digest,
                _ => self.keys.digest(charge.identity()),
            };
            last = Some((charge.identity(), digest));
            self.store.place(digest, charge.policy())
        })
    }

    /// Decides `N` charges if all their buckets are known; see [`Store::transact_known`].
    fn acquire_known<const N: usize>(&self, charges: &Charges) -> Option<Acquire> {
        let mut places = self.places(charges);
        let mut known = [places.next()?; N];
        for (place, next) in known.iter_mut().skip(1).zip(places) {
            *place = next;
        }
        let decide = |records: &mut [Record], now| Answer::ready(evaluate(charges, records, now));
        self.store.transact_known(&known, decide)
    }
}

/// Enough shards that two threads rarely meet in one, few enough to look at all of them when room
/// has to be made.
fn shard_count() -> usize {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (threads * 8).clamp(16, 256)
}

impl<C: Clock> RateLimitRepository for MemoryRepository<C> {
    fn acquire(&self, charges: &Charges) -> Acquire {
        // Nearly every request is charged against few buckets, which are known.
        let known = match charges.len() {
            1 => self.acquire_known::<1>(charges),
            2 => self.acquire_known::<2>(charges),
            3 => self.acquire_known::<3>(charges),
            4 => self.acquire_known::<4>(charges),
            _ => None,
        };
        known.unwrap_or_else(|| {
            let places: SmallVec<[Place<'_>; 4]> = self.places(charges).collect();
            let decide = |records: &mut [Record], now| evaluate(charges, records, now);
            Answer::ready(self.store.transact(&places, decide))
        })
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        let settle_one = |adjustment: &rate_limit_core::Adjustment| {
            let mut place = self.place(&adjustment.identity, &adjustment.policy);
            // A correction is neither a strike nor stopped by a ban.
            place.ladder = None;
            self.store.transact(&[place], |records, now| match records {
                [record, ..] => adjust(adjustment, record, now),
                [] => rate_limit_core::Adjusted::default(),
            })
        };
        Answer::ready(adjustments.iter().map(settle_one).collect())
    }
}
