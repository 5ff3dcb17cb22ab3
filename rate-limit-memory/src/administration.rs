//! Looking into the store and correcting it by hand.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use rate_limit_core::{
    BucketId, Charge, Charges, ClientIdentity, Clock, LadderState, ListedBucket, Page,
    RateLimitAdministration, RateLimitPolicy, RepositoryError, Reset, Standing, evaluate,
};

use crate::repository::MemoryRepository;
use crate::store::{Place, Store};

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
            let outcomes = evaluate(&asking, records, now);
            let ladder: Option<LadderState> = records.first().and_then(|record| record.ladder);
            let banned_nanos =
                ladder.map_or(0, |state| state.banned_until.nanos_since(now.monotonic));
            Standing {
                remaining: outcomes.get(0).map_or(0, |outcome| outcome.remaining),
                reset_after: outcomes.get(0).map_or(Duration::ZERO, |one| one.reset_after()),
                banned_for: (banned_nanos > 0).then(|| Duration::from_nanos(banned_nanos)),
            }
        });
        Ok(standing)
    }

    async fn reset(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Reset, RepositoryError> {
        let in_debt = self.store.reset(&self.place(identity, policy));
        Ok(if in_debt == 0 { Reset::Nothing } else { Reset::Restored })
    }

    /// Looks at every bucket for each page: for operators, not for requests.
    async fn list(
        &self,
        after: Option<BucketId>,
        limit: NonZeroUsize,
    ) -> Result<Page, RepositoryError> {
        let mut buckets: Vec<ListedBucket> = self
            .store
            .listed()
            .into_iter()
            .filter(|listed| after.is_none_or(|after| listed.id > after))
            .collect();
        buckets.sort_unstable_by_key(|listed| listed.id);
        let complete = buckets.len() <= limit.get();
        buckets.truncate(limit.get());
        let next = buckets.last().filter(|_| !complete).map(|listed| listed.id);
        Ok(Page { buckets, next })
    }
}

impl<C: Clock> Store<C> {
    /// Removes what is kept for `place`. Returns how many of its buckets were in debt.
    fn reset(&self, place: &Place<'_>) -> usize {
        let Some(guarded) = self.shards.get(place.shard) else {
            return 0;
        };
        let mut shard = guarded.lock();
        let now = self.now(true);
        let mut in_debt = 0;
        for key in [Some(place.bucket), place.ladder].into_iter().flatten() {
            let slot = shard.find(key).and_then(|number| shard.slot(number));
            let debt = slot.is_some_and(|slot| slot.forgettable_at(now) > now.monotonic);
            in_debt += usize::from(debt);
            self.release(self.forget(&mut shard, key));
        }
        guarded.publish(&shard);
        in_debt
    }

    /// All buckets that are in debt, one shard after the other.
    fn listed(&self) -> Vec<ListedBucket> {
        let now = self.now(true);
        let mut listed = Vec::new();
        for guarded in &self.shards {
            listed.extend(guarded.lock().slots().filter_map(|slot| {
                let nanos = slot.forgettable_at(now).nanos_since(now.monotonic);
                let forgotten_after = Duration::from_nanos(nanos);
                (nanos > 0).then(|| ListedBucket { id: BucketId(slot.key.into()), forgotten_after })
            }));
        }
        listed
    }
}
