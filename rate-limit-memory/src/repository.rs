//! The port, implemented.

use std::alloc::{Layout, handle_alloc_error};

use rate_limit_core::{
    Acquire, Adjustments, Answer, Charges, ClientIdentity, Clock, Outcomes, RateLimitPolicy,
    RateLimitRepository, Record, Settle, adjust, evaluate,
};
use smallvec::SmallVec;

use crate::builder::MemoryRepositoryBuilder;
use crate::clock::SystemClock;
use crate::documents::Documents;
use crate::key::{IdentityDigest, Key, KeyRing};
use crate::known::FEW;
use crate::stats::MemoryStats;
use crate::store::{Place, Store};
use crate::table::{Pages, Table};

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
    ///
    /// # Aborts
    ///
    /// If there are no 26 MB of memory, as every allocation does. To be told instead, use
    /// [`builder`](Self::builder).
    pub fn new() -> Self {
        let max_keys = MemoryRepositoryBuilder::<SystemClock>::DEFAULT_MAX_KEYS;
        Self::with_room(SystemClock::new(), max_keys, Pages::Usual)
            .unwrap_or_else(|| out_of_memory(max_keys))
    }

    /// Begins to build a store.
    pub fn builder() -> MemoryRepositoryBuilder<SystemClock> {
        MemoryRepositoryBuilder::new()
    }
}

/// What the standard library does when there is no memory for a collection.
#[cold]
fn out_of_memory(max_keys: usize) -> ! {
    let layout = Layout::array::<u8>(Table::bytes(max_keys)).unwrap_or(Layout::new::<usize>());
    handle_alloc_error(layout)
}

impl Default for MemoryRepository {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clock> MemoryRepository<C> {
    /// `None` if there is no memory for that many keys.
    pub(crate) fn with_room(clock: C, max_keys: usize, pages: Pages) -> Option<Self> {
        let store = Store::new(clock, max_keys, pages)?;
        Some(Self { store, keys: KeyRing::new(), documents: Documents::default() })
    }

    /// How full the store is and what it had to forget. Looks at every place, which takes about a
    /// millisecond for each 16 MB: for operators, not for requests.
    pub fn stats(&self) -> MemoryStats {
        self.store.stats()
    }

    pub(crate) fn place<'a>(
        &self,
        identity: &ClientIdentity,
        policy: &'a RateLimitPolicy,
    ) -> Place<'a> {
        self.store.place(self.keys.digest(identity), policy)
    }

    /// The digests of all charges. The policies of one rule share an identity, which is then hashed
    /// once.
    fn digests<'a>(
        &self,
        charges: &'a Charges,
    ) -> impl Iterator<Item = (&'a RateLimitPolicy, IdentityDigest)> {
        let mut last: Option<(&ClientIdentity, IdentityDigest)> = None;
        charges.iter().map(move |charge| {
            let digest = match last {
                Some((identity, digest)) if identity == charge.identity() => digest,
                _ => self.keys.digest(charge.identity()),
            };
            last = Some((charge.identity(), digest));
            (&**charge.policy(), digest)
        })
    }

    /// Decides up to [`FEW`] charges if all of their buckets are known and lie in the table.
    #[inline]
    fn acquire_few(&self, charges: &Charges) -> Option<Outcomes> {
        let mut keys = [Key::default(); FEW];
        for (key, (policy, digest)) in keys.iter_mut().zip(self.digests(charges)) {
            *key = digest.bucket(policy);
        }
        self.store.decide_few_known(charges, keys.get(..charges.len())?)
    }

    /// Decides any charges. Never inlined, so that what it needs takes neither room on the stack nor
    /// registers from a single one.
    #[inline(never)]
    fn acquire_all(&self, charges: &Charges) -> Acquire {
        if let Some(charge) = charges.single() {
            let key = self.keys.digest(charge.identity()).bucket(charge.policy());
            if let Some(outcome) = self.store.decide_known(charge, key) {
                return Answer::ready(Outcomes::one(outcome));
            }
        } else if let Some(outcomes) = self.acquire_few(charges) {
            return Answer::ready(outcomes);
        }
        let place = |(policy, digest)| self.store.place(digest, policy);
        let places: SmallVec<[Place<'_>; 4]> = self.digests(charges).map(place).collect();
        let decide = |records: &mut [Record], now| evaluate(charges, records, now);
        Answer::ready(self.store.transact(&places, decide))
    }
}

impl<C: Clock> RateLimitRepository for MemoryRepository<C> {
    fn acquire(&self, charges: &Charges) -> Acquire {
        if let Some(charge) = charges.single() {
            let key = self.keys.digest(charge.identity()).bucket(charge.policy());
            if let Some(outcome) = self.store.decide_at_once(charge, key) {
                // Only now, because an answer is a large value to move.
                return Answer::ready(Outcomes::one(outcome));
            }
        }
        self.acquire_all(charges)
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
