//! Looking into the store and correcting it by hand.
//!
//! Off the request path: no coalescing, no breaker, and more permissions than deciding needs. See
//! the README for the two sets of rules.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use rate_limit_core::{
    BucketId, Charge, Charges, ClientIdentity, ListedBucket, Page, RateLimitAdministration,
    RateLimitPolicy, RepositoryError, Reset, Standing, policy::MAX_TIME_TO_FULL_NANOS,
};
use redis::{Cmd, FromRedisValue, Value};

use crate::key::KeyRing;
use crate::link::{Link, LinkError, Node, Slot};
use crate::repository::RedisRepository;

/// Keys that one step of a scan looks at: well below a millisecond of the server's time.
const SCAN_STEP: usize = 500;

#[async_trait]
impl RateLimitAdministration for RedisRepository {
    async fn peek(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Standing, RepositoryError> {
        let asking = Charge::new(identity.clone(), policy.clone().into(), 0);
        let outcomes = self.decide(&Charges::one(asking)).await?;
        let Some(outcome) = outcomes.get(0) else {
            return Err(LinkError::Corrupt("expected one outcome").into());
        };
        Ok(Standing::of_asking(outcome))
    }

    /// A key exists while it says something, so whatever there was to remove did.
    async fn reset(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Reset, RepositoryError> {
        let owner = self.keys.owner(identity);
        let (mut bucket, mut ladder) = (Vec::new(), Vec::new());
        owner.write_bucket(policy, &mut bucket);
        owner.write_ladder(policy, &mut ladder);
        let mut remove = Cmd::with_capacity(3, bucket.len() + ladder.len() + 3);
        remove.arg("DEL").arg(&bucket).arg(&ladder);
        let removed: u64 = typed(self.link.command(owner.slot(), &remove).await?)?;
        if let Some(denials) = &self.denials {
            denials.forget(identity, policy);
        }
        Ok(if removed == 0 { Reset::Nothing } else { Reset::Restored })
    }

    /// Scans all keys of every server for each page: for operators, not for requests. A bucket whose
    /// key somebody has deprived of its time to live is listed with the longest time there is.
    async fn list(
        &self,
        after: Option<BucketId>,
        limit: NonZeroUsize,
    ) -> Result<Page, RepositoryError> {
        let mut first = First { keys: BTreeMap::new(), after, limit: limit.get() };
        for node in self.link.nodes()? {
            scan(&self.link, &node, &self.keys, &mut first).await?;
        }
        let complete = first.keys.len() <= limit.get();
        let mut page = Page::default();
        for (id, key) in first.keys.into_iter().take(limit.get()) {
            if !complete {
                page.next = Some(id);
            }
            if let Some(forgotten_after) = time_to_live(&self.link, &self.keys, &key).await? {
                page.buckets.push(ListedBucket { id, forgotten_after });
            }
        }
        Ok(page)
    }
}

/// The first keys after one of them, in the order of their numbers, and one more, which tells that
/// there are more. However many there are, no more is kept.
struct First {
    keys: BTreeMap<BucketId, Vec<u8>>,
    after: Option<BucketId>,
    limit: usize,
}

impl First {
    /// A scan may name a key twice.
    fn add(&mut self, id: BucketId, key: Vec<u8>) {
        if self.after.is_some_and(|after| id <= after) {
            return;
        }
        self.keys.insert(id, key);
        if self.keys.len() > self.limit + 1 {
            self.keys.pop_last();
        }
    }
}

async fn scan(
    link: &Link,
    node: &Node,
    ring: &KeyRing,
    first: &mut First,
) -> Result<(), LinkError> {
    let pattern = ring.pattern();
    let mut cursor = b"0".to_vec();
    loop {
        let mut step = Cmd::with_capacity(6, pattern.len() + 32);
        step.arg("SCAN").arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_STEP);
        let (next, keys): (Vec<u8>, Vec<Vec<u8>>) = typed(link.command_on(node, &step).await?)?;
        for key in keys.into_iter().filter(|key| KeyRing::is_bucket(key)) {
            first.add(BucketId(ring.bucket_id(&key)), key);
        }
        if next == b"0" {
            return Ok(());
        }
        cursor = next;
    }
}

/// How long a bucket is in debt; `None` if it is not any more.
async fn time_to_live(
    link: &Link,
    ring: &KeyRing,
    key: &[u8],
) -> Result<Option<Duration>, LinkError> {
    let slot = ring.tag_of(key).map_or(Slot::ONLY, Slot::of_tag);
    let mut ask = Cmd::with_capacity(2, key.len() + 4);
    ask.arg("PTTL").arg(key);
    let millis: i64 = typed(link.command(slot, &ask).await?)?;
    Ok(match u64::try_from(millis) {
        Ok(millis) => Some(Duration::from_millis(millis)),
        Err(_) if millis == -1 => Some(Duration::from_nanos(MAX_TIME_TO_FULL_NANOS)),
        Err(_) => None,
    })
}

/// A reply of the expected form.
pub(crate) fn typed<T: FromRedisValue>(reply: Value) -> Result<T, LinkError> {
    redis::from_redis_value(reply).map_err(|_| LinkError::Corrupt("unexpected type"))
}
