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
use crate::key::{IdentityDigest, KeyRing};
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

    /// All that is kept of a client under a policy: also the place on a ladder that does not count
    /// while the policy is in shadow mode.
    pub(crate) fn whole_place<'a>(
        &self,
        identity: &ClientIdentity,
        policy: &'a RateLimitPolicy,
    ) -> Place<'a> {
        let digest = self.keys.digest(identity);
        let ladder = policy.penalty().map(|_| digest.ladder(policy));
        Place { ladder, ..self.store.place(digest, policy) }
    }

    /// The digest of an identity after `last`, the one before it with its digest. The policies of one
    /// rule share an identity, which is then hashed once.
    #[allow(clippy::inline_always, reason = "measured: a twentieth of a decision on two policies")]
    #[inline(always)]
    fn digest_after<'a>(
        &self,
        last: &mut Option<(&'a ClientIdentity, IdentityDigest)>,
        identity: &'a ClientIdentity,
    ) -> IdentityDigest {
        if let Some((same, digest)) = *last
            && same == identity
        {
            return digest;
        }
        let digest = self.keys.digest(identity);
        *last = Some((identity, digest));
        digest
    }

    /// What [`acquire`](RateLimitRepository::acquire) does beyond its first try. Never inlined, so that
    /// it takes neither room on the stack nor registers from the requests that the first try decides.
    #[inline(never)]
    fn acquire_otherwise(&self, charges: &Charges) -> Acquire {
        match charges.len() {
            1 => self.acquire_one(charges),
            2 => self.acquire_few::<2>(charges),
            3 => self.acquire_few::<3>(charges),
            4 => self.acquire_few::<4>(charges),
            _ => self.acquire_all(charges),
        }
    }

    /// Decides a single charge after the first try, and begins anew: to keep what that has found out
    /// would cost the requests for which it was enough.
    #[inline(never)]
    fn acquire_one(&self, charges: &Charges) -> Acquire {
        // Places on a ladder do not lie in the table, so there is no need to look.
        let in_table = charges.get(0).filter(|charge| charge.policy().striking_penalty().is_none());
        let known = in_table.and_then(|charge| {
            let key = self.keys.digest(charge.identity()).bucket(charge.policy());
            self.store.decide_known(charge, key)
        });
        known.map_or_else(|| self.acquire_all(charges), |one| Answer::ready(Outcomes::one(one)))
    }

    /// Decides `N` charges. With a number that the compiler knows nothing of it is a list, which would
    /// take half as long again.
    #[inline(never)]
    fn acquire_few<const N: usize>(&self, charges: &Charges) -> Acquire {
        let known = charges.exactly::<N>().and_then(|few| {
            let mut last = None;
            let keys = few.map(|charge| {
                self.digest_after(&mut last, charge.identity()).bucket(charge.policy())
            });
            self.store.decide_few_known(few, keys)
        });
        known.map_or_else(|| self.acquire_all(charges), |few| Answer::ready(Outcomes::few(few)))
    }

    /// Decides any charges, on buckets of which nothing is known.
    #[inline(never)]
    fn acquire_all(&self, charges: &Charges) -> Acquire {
        let (mut places, mut last) = (SmallVec::<[Place<'_>; 4]>::new(), None);
        for charge in charges.iter() {
            let digest = self.digest_after(&mut last, charge.identity());
            places.push(self.store.place(digest, charge.policy()));
        }
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
        self.acquire_otherwise(charges)
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
