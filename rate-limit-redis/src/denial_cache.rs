//! A memory of recent denials in front of a store: what is known to be denied is not asked again.
//!
//! Under attack nearly every request is denied, and a denied request takes nothing. So the answer
//! to the last one holds until the bucket can have room again, and repeating it costs nobody
//! anything.
//!
//! # What is remembered
//!
//! After a denial, for each bucket of the request: the least cost that was denied, or that it was
//! not this bucket that denied, with the figures that the store gave. This holds until the earlier
//! of the told wait and one second, counted from when the check was *sent*, and under
//! exactly that version of the policy. A request is answered from memory if all its buckets are
//! remembered and one that is enforced denies its cost. Everything else asks the store:
//!
//! - a smaller cost than the least that was denied;
//! - a larger one, where its wait does not follow from what is known (sliding windows and logs);
//! - a bucket with a penalty ladder before its ban, because every denial counts as a strike;
//! - a policy whose charges are settled, because a refund may make room at any moment.
//!
//! # What is told
//!
//! Waits and resets shrink with the time that passes here. They are reckoned from when the answer
//! *arrived*, so they are late by the way of the answer and never early. A bucket that did not deny
//! is reported as the store last reported it, up to a second ago.
//!
//! # When this is wrong
//!
//! For up to one second clients may be denied although there is room: after another process reset
//! their bucket, raised its limit or settled a policy for the first time, and after the store lost
//! its data or its clock was set. A strike that depends on what other clients took from a shared
//! bucket within that second may be missed. Never is anything admitted that the store would deny.
//!
//! # Bounded
//!
//! The memory is a table of fixed size. If a flood of keys fills it, the entries that end first
//! make room, and their owners ask the store once more.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use rate_limit_core::{
    Acquire, Adjustments, Answer, BucketId, Charges, ClientIdentity, Clock, Outcomes, Page,
    PolicyVerdict, RateLimitAdministration, RateLimitPolicy, RateLimitRepository, RepositoryError,
    Reset, Settle, Standing, Timestamp,
};
use smallvec::SmallVec;

mod bucket;
mod entry;
mod renewal;
mod settled;
mod table;

use bucket::{Buckets, Hasher};
use entry::{Entry, Known};
use renewal::{Renewal, Renewing};
use settled::SettledPolicies;
use table::{Epoch, Table};

/// Remembers what another store has denied.
///
/// # Example: the store is asked once
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use rate_limit_core::conformance::{ModelRepository, block_on};
/// use rate_limit_core::{
///     Charge, Charges, ClientIdentity, ManualClock, RateLimitPolicy, RateLimitRepository, Wait,
/// };
/// use rate_limit_redis::DenialCache;
///
/// let clock = ManualClock::new();
/// let store = DenialCache::new(ModelRepository::new(clock.clone()), clock.clone());
/// let once = Arc::new(RateLimitPolicy::per_minute(1).build()?);
/// let charges = Charges::one(Charge::new(ClientIdentity::GLOBAL, once, 1));
/// block_on(store.acquire(&charges))?;
/// block_on(store.acquire(&charges))?;
/// clock.advance(Duration::from_millis(400));
/// // This one stays here, and its wait has shrunk all the same.
/// let outcomes = block_on(store.acquire(&charges))?;
/// assert_eq!(outcomes.get(0).map(|told| told.wait), Some(Wait::After(59_600_000_000)));
/// assert_eq!(store.answered(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DenialCache<R, C> {
    // Shared with the answers that are still awaited.
    shared: Arc<Shared<R, C>>,
}

struct Shared<R, C> {
    repository: R,
    clock: C,
    hasher: Hasher,
    table: Table,
    settled: SettledPolicies,
    answered: AtomicU64,
}

/// A request on its way to the store.
struct Asking {
    buckets: Buckets,
    /// When it was sent, and what had been forgotten until then.
    sent: Timestamp,
    epoch: Epoch,
}

/// What the memory says of a request.
#[allow(clippy::large_enum_variant, reason = "a box would cost every denial an allocation")]
enum Consulted {
    /// The store would deny it, with these outcomes.
    Denied(Outcomes),
    /// The store denied it a second ago: somebody has to ask whether that still holds.
    Lapsed(u128),
    /// Nothing.
    Unknown,
}

impl<R, C> DenialCache<R, C>
where
    R: RateLimitRepository + 'static,
    C: Clock + 'static,
{
    /// A memory in front of `repository`. `clock` measures how long a denial holds; it need not be
    /// the clock of the store.
    pub fn new(repository: R, clock: C) -> Self {
        Self {
            shared: Arc::new(Shared {
                repository,
                clock,
                hasher: Hasher::new(),
                table: Table::new(),
                settled: SettledPolicies::default(),
                answered: AtomicU64::new(0),
            }),
        }
    }

    /// The store behind it.
    pub fn repository(&self) -> &R {
        &self.shared.repository
    }

    /// How many requests were denied without asking the store.
    pub fn answered(&self) -> u64 {
        // Relaxed, because the number guards no memory.
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Forgets what is remembered of one bucket, because somebody changed it by hand.
    pub fn forget(&self, identity: &ClientIdentity, policy: &RateLimitPolicy) {
        self.shared.table.forget(self.shared.hasher.bucket(identity, policy));
    }
}

impl<R, C> RateLimitRepository for DenialCache<R, C>
where
    R: RateLimitRepository + 'static,
    C: Clock + 'static,
{
    fn acquire(&self, charges: &Charges) -> Acquire {
        let shared = &self.shared;
        // Before the check is sent: what it denies holds from then, and what is forgotten from then
        // on is not remembered again because of it.
        let (sent, epoch) = (shared.clock.now(), shared.table.epoch());
        let buckets = shared.hasher.buckets(charges);
        let renewal = match shared.consult(charges, &buckets, sent) {
            Consulted::Denied(outcomes) => return Answer::ready(outcomes),
            Consulted::Unknown => None,
            Consulted::Lapsed(bucket) => match shared.table.renew(bucket) {
                Ok(renewal) => Some(renewal),
                Err(renewing) => {
                    let waiting = shared.clone().wait(charges.clone(), buckets, renewing);
                    return Answer::pending(waiting);
                }
            },
        };
        shared.ask(charges, Asking { buckets, sent, epoch }, renewal)
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        let shared = &self.shared;
        for adjustment in adjustments.iter() {
            // Before it is sent, so that no denial which the refund undoes can be remembered.
            if shared.settled.is_new(&adjustment.policy) {
                shared.table.clear();
            }
        }
        shared.repository.settle(adjustments)
    }
}

impl<R, C> Shared<R, C>
where
    R: RateLimitRepository + 'static,
    C: Clock + 'static,
{
    /// Answers from memory if all buckets of the request are remembered and one of them denies.
    fn consult(&self, charges: &Charges, buckets: &Buckets, now: Timestamp) -> Consulted {
        let (mut denies, mut lapsed) = (false, None);
        let mut told = SmallVec::<[_; 4]>::new();
        for (charge, &bucket) in charges.iter().zip(buckets) {
            let violated = match self.table.find(bucket, charge, now) {
                Known::Nothing => return Consulted::Unknown,
                Known::Lapsed(verdict) => {
                    lapsed = lapsed.or(Some(bucket));
                    verdict != PolicyVerdict::Admit
                }
                Known::Holds(outcome) => {
                    told.push(outcome);
                    outcome.is_violated()
                }
            };
            denies |= violated && charge.policy().is_enforced();
        }
        match lapsed {
            _ if !denies => Consulted::Unknown,
            Some(bucket) => Consulted::Lapsed(bucket),
            None => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                Consulted::Denied(told.into_iter().collect())
            }
        }
    }

    /// Asks the store, and remembers its answer if it is a denial.
    fn ask(
        self: &Arc<Self>,
        charges: &Charges,
        asking: Asking,
        renewal: Option<Renewal>,
    ) -> Acquire {
        match self.repository.acquire(charges) {
            Answer::Ready(answer) => {
                self.learn(charges, &asking, &answer, renewal);
                Answer::Ready(answer)
            }
            Answer::Pending(answer) => {
                let (shared, charges) = (self.clone(), charges.clone());
                // A second box beside that of the store; nothing to the way to a server.
                Answer::pending(async move {
                    let answer = answer.await;
                    shared.learn(&charges, &asking, &answer, renewal);
                    answer
                })
            }
        }
    }

    /// Lets somebody else ask, so that the end of a second does not send everybody at once.
    async fn wait(
        self: Arc<Self>,
        charges: Charges,
        buckets: Buckets,
        renewing: Renewing,
    ) -> Result<Outcomes, RepositoryError> {
        renewing.ended().await?;
        let (sent, epoch) = (self.clock.now(), self.table.epoch());
        match self.consult(&charges, &buckets, sent) {
            Consulted::Denied(outcomes) => Ok(outcomes),
            // There is room after all, or the answer went to somebody who gave up. Everybody asks
            // now, since waiting twice would be longer than asking.
            Consulted::Lapsed(_) | Consulted::Unknown => {
                self.ask(&charges, Asking { buckets, sent, epoch }, None).await
            }
        }
    }

    /// Remembers a denial, tells those who wait for it, and forgets what is disproved.
    fn learn(
        &self,
        charges: &Charges,
        asking: &Asking,
        answer: &Result<Outcomes, RepositoryError>,
        renewal: Option<Renewal>,
    ) {
        if let Ok(outcomes) = answer {
            self.remember(charges, asking, outcomes);
        }
        if let Some(renewal) = renewal {
            renewal.end(answer.as_ref().err().map(RepositoryError::kind));
        }
    }

    fn remember(&self, charges: &Charges, asking: &Asking, outcomes: &Outcomes) {
        let Asking { buckets, sent, epoch } = asking;
        let answered = || charges.iter().zip(outcomes.iter());
        let denied = answered()
            .any(|(charge, outcome)| charge.policy().is_enforced() && outcome.is_violated());
        if !denied {
            // Whatever was remembered of these buckets has just been disproved. Usually that is
            // nothing, and looking is cheaper than the way to the store was.
            buckets.iter().for_each(|&bucket| self.table.remove(bucket));
            return;
        }
        let arrived = self.clock.now();
        for ((charge, outcome), &bucket) in answered().zip(buckets) {
            let entry = Entry::new(charge, outcome, *sent, arrived);
            // Asked under the lock of the place where the entry is put: otherwise it could be put
            // there just after somebody has forgotten it for a reason.
            let still = || !(outcome.is_violated() && self.settled.contains(charge.policy()));
            match entry {
                Some(entry) => self.table.put(bucket, entry, *epoch, still),
                None => self.table.remove(bucket),
            }
        }
    }
}

#[async_trait]
impl<R, C> RateLimitAdministration for DenialCache<R, C>
where
    R: RateLimitRepository + RateLimitAdministration + 'static,
    C: Clock + 'static,
{
    async fn peek(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Standing, RepositoryError> {
        self.shared.repository.peek(identity, policy).await
    }

    async fn reset(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Reset, RepositoryError> {
        let bucket = self.shared.hasher.bucket(identity, policy);
        // When it ends, however it ends: a reset whose caller gives up may have happened.
        let _forget = Forget { table: &self.shared.table, bucket };
        self.shared.repository.reset(identity, policy).await
    }

    async fn list(
        &self,
        after: Option<BucketId>,
        limit: std::num::NonZeroUsize,
    ) -> Result<Page, RepositoryError> {
        self.shared.repository.list(after, limit).await
    }
}

/// Forgets a bucket when it is dropped.
struct Forget<'a> {
    table: &'a Table,
    bucket: u128,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.table.forget(self.bucket);
    }
}

impl<R, C> Clone for DenialCache<R, C> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<R: fmt::Debug, C> fmt::Debug for DenialCache<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenialCache")
            .field("repository", &self.shared.repository)
            .finish_non_exhaustive()
    }
}
