//! Looking into the store and correcting it by hand.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use rate_limit_core::{
    BucketId, Charge, Charges, ClientIdentity, Clock, ListedBucket, Now, Page,
    RateLimitAdministration, RateLimitPolicy, RepositoryError, RepositoryErrorKind, Reset,
    Standing, TimeAxis, evaluate,
};

use crate::group::{Group, SLOTS, Tag};
use crate::repository::MemoryRepository;
use crate::room::Debts;
use crate::side::Aside;
use crate::store::Store;
use crate::sync::Backoff;

#[async_trait]
impl<C: Clock> RateLimitAdministration for MemoryRepository<C> {
    async fn peek(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Standing, RepositoryError> {
        let asking = Charge::new(identity.clone(), policy.clone().into(), 0);
        let asking: Charges = std::iter::once(asking).collect();
        let standing = self.store.transact(&[self.place(identity, policy)], |records, now| {
            evaluate(&asking, records, now).get(0).map(Standing::of_asking)
        });
        standing.ok_or(RepositoryError::new(RepositoryErrorKind::Corrupt))
    }

    async fn reset(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Reset, RepositoryError> {
        let was_in_debt = self.store.reset(&self.whole_place(identity, policy));
        Ok(if was_in_debt { Reset::Restored } else { Reset::Nothing })
    }

    /// Looks at every bucket for each page: for operators, not for requests.
    async fn list(
        &self,
        after: Option<BucketId>,
        limit: NonZeroUsize,
    ) -> Result<Page, RepositoryError> {
        let mut buckets = self.store.listed();
        buckets.retain(|listed| after.is_none_or(|after| listed.id > after));
        buckets.sort_unstable_by_key(|listed| listed.id);
        // A bucket that moved from one group to the other meanwhile was seen in both.
        buckets.dedup_by_key(|listed| listed.id);
        let complete = buckets.len() <= limit.get();
        buckets.truncate(limit.get());
        let next = buckets.last().filter(|_| !complete).map(|listed| listed.id);
        Ok(Page { buckets, next })
    }
}

impl<C: Clock> Store<C> {
    /// All buckets that are in debt.
    fn listed(&self) -> Vec<ListedBucket> {
        let now = self.now(TimeAxis::Utc);
        let mut listed = Vec::new();
        let mut list = |id: u128, nanos: u64| {
            let forgotten_after = Duration::from_nanos(nanos);
            listed.push(ListedBucket { id: BucketId(id), forgotten_after });
        };
        self.for_each_in_debt(now, &mut list);
        self.side.for_each(|shard| {
            for (key, entry) in shard.entries() {
                if matches!(entry.aside, Aside::Ladder(_)) {
                    continue;
                }
                let nanos = entry.forgettable_at.nanos_since(now.monotonic);
                if nanos > 0 {
                    list(key.into(), nanos);
                }
            }
        });
        listed
    }

    /// Calls `look` with a name and the debt of each bucket of the table that is in debt.
    ///
    /// The name is the tag and, since the rest of the key is not kept, the lower of the numbers of
    /// both groups in which the bucket may lie.
    pub(crate) fn for_each_in_debt(&self, now: Now, mut look: impl FnMut(u128, u64)) {
        let mut debts = Debts::new(&self.clock, now, TimeAxis::Utc);
        for (number, group) in self.table.groups().enumerate() {
            for (tag, nanos) in read_debts(group, &mut debts) {
                if nanos > 0 {
                    let lower = number.min(self.table.other(tag, number));
                    look(u128::from(tag.0) << 64 | lower as u128, nanos);
                }
            }
        }
    }
}

/// The tags and debts of a group at one moment.
fn read_debts<C: Clock>(group: Group<'_>, debts: &mut Debts<'_, C>) -> [(Tag, u64); SLOTS] {
    let mut backoff = Backoff::default();
    loop {
        let version = group.version();
        let read = std::array::from_fn(|slot| {
            let tag = group.tag(slot);
            (tag, debts.nanos(tag, group.full_at(slot)))
        });
        if group.is_still(version) {
            return read;
        }
        backoff.wait();
    }
}
