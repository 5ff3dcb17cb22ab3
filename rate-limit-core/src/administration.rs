//! Looking into a store and correcting it by hand. A trait of its own, off the request path.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;

use crate::identity::ClientIdentity;
use crate::outcome::{Outcome, PolicyVerdict};
use crate::policy::RateLimitPolicy;
use crate::repository::RepositoryError;

/// What operators do with a store.
///
/// Every call is asynchronous, may be slow, and may be refused to an application that is only
/// permitted to decide.
#[async_trait]
pub trait RateLimitAdministration: Send + Sync {
    /// Where a client stands under a policy, without charging anything.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    async fn peek(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Standing, RepositoryError>;

    /// Makes a client's bucket under a policy full, and forgets its place on the penalty ladder: the
    /// ban is lifted, strikes and level are gone. So also if the policy is in shadow mode now, where
    /// its ladder does not count: the ban would be back as soon as the policy decides again.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    async fn reset(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Reset, RepositoryError>;

    /// Up to `limit` of the buckets that are in debt, in an order that stays the same between
    /// calls, beginning after `after`. Buckets that come or go meanwhile may or may not be listed;
    /// all others are, exactly once. Places on penalty ladders are no buckets: whoever is banned and
    /// owes nothing is not listed, and [`peek`](Self::peek) tells the ban.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    async fn list(
        &self,
        after: Option<BucketId>,
        limit: NonZeroUsize,
    ) -> Result<Page, RepositoryError>;
}

/// Where a client stands under a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Units that fit now.
    pub remaining: u64,
    /// Time until the bucket is full again, or until its fixed window ends.
    pub reset_after: Duration,
    /// Time until the present ban ends; `None` without a ban.
    pub banned_for: Option<Duration>,
}

impl Standing {
    /// Where a client stands, as the answer to a charge of zero units tells it.
    ///
    /// Zero units always fit, so whoever has to wait for them is banned.
    pub fn of_asking(outcome: &Outcome) -> Self {
        let is_banned = outcome.verdict == PolicyVerdict::Ban;
        Self {
            remaining: outcome.remaining,
            reset_after: outcome.reset_after(),
            banned_for: outcome.wait.duration().filter(|_| is_banned),
        }
    }
}

/// Whether there was anything to reset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reset {
    /// The bucket was full, and its owner not on the penalty ladder.
    Nothing,
    /// The bucket was in debt, or its owner had strikes, a ban, or a level left from one.
    Restored,
}

/// Names a bucket without naming its owner: a digest under the store's key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BucketId(pub u128);

/// Some of a store's buckets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// The buckets.
    pub buckets: Vec<ListedBucket>,
    /// Where the next page begins; `None` if this was the last one.
    pub next: Option<BucketId>,
}

/// One bucket of a [`Page`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ListedBucket {
    /// Which bucket.
    pub id: BucketId,
    /// Time until it is as good as new and may be forgotten.
    pub forgotten_after: Duration,
}
