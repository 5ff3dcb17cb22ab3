//! Looking into the file and correcting it by hand.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use rate_limit_core::{
    BucketId, Charge, Charges, ClientIdentity, ListedBucket, Now, Page, RateLimitAdministration,
    RateLimitPolicy, RateLimitRepository, RepositoryError, RepositoryErrorKind, Reset, Standing,
    TimeAxis, Timestamp,
};
use rusqlite::params;

use crate::buckets::{Session, sql};
use crate::key::{Key, Place};
use crate::repository::SqliteRepository;
use crate::stored;

/// Rows that one step of a list looks at. Decisions get their turn after each.
const LIST_STEP: usize = 500;

#[async_trait]
impl RateLimitAdministration for SqliteRepository {
    async fn peek(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Standing, RepositoryError> {
        let asking = Charge::new(identity.clone(), policy.clone().into(), 0);
        let outcomes = self.acquire(&Charges::one(asking)).await?;
        let Some(outcome) = outcomes.get(0) else {
            return Err(RepositoryError::new(RepositoryErrorKind::Corrupt));
        };
        Ok(Standing::of_asking(outcome))
    }

    async fn reset(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Reset, RepositoryError> {
        let (place, axis) = (self.whole_place(identity, policy), policy.axis());
        self.worker().ask(move |session| session.reset(place, axis).map(Ok)).await
    }

    async fn list(
        &self,
        after: Option<BucketId>,
        limit: NonZeroUsize,
    ) -> Result<Page, RepositoryError> {
        let (mut page, mut after) = (Page::default(), after);
        loop {
            let step = self.worker().ask(move |session| session.list_step(after).map(Ok)).await?;
            for listed in step.buckets {
                if page.buckets.len() == limit.get() {
                    page.next = page.buckets.last().map(|last| last.id);
                    return Ok(page);
                }
                page.buckets.push(listed);
            }
            after = step.next;
            if after.is_none() {
                return Ok(page);
            }
        }
    }
}

impl Session {
    /// Removes what is kept at `place`.
    fn reset(&mut self, place: Place, axis: TimeAxis) -> rusqlite::Result<Reset> {
        let now = self.timeline.now();
        let rows = [Some((place.bucket, axis)), place.ladder.map(|key| (key, TimeAxis::Monotonic))];
        let mut reset = Reset::Nothing;
        for (key, axis) in rows.into_iter().flatten() {
            let Some(found) = self.find(key)? else {
                continue;
            };
            if stored::full_at(&found.bytes) > now.on(axis) {
                reset = Reset::Restored;
            }
            self.remove(key, found.weight)?;
        }
        Ok(reset)
    }

    /// The buckets in debt among the [`LIST_STEP`] rows behind `after`, in the order of their keys.
    fn list_step(&mut self, after: Option<BucketId>) -> rusqlite::Result<Page> {
        let now = self.timeline.now();
        let mut select = self.connection.prepare_cached(
            "SELECT key, axis, state FROM bucket WHERE key > ?1 ORDER BY key LIMIT ?2",
        )?;
        let after = after.map(|BucketId(id)| Key::from(id.to_be_bytes()));
        let after = after.as_ref().map_or(&[] as &[u8], Key::as_bytes);
        let mut rows = select.query(params![after, sql(LIST_STEP)])?;
        let (mut page, mut looked_at) = (Page::default(), 0);
        while let Some(row) = rows.next()? {
            looked_at += 1;
            let id = BucketId(Key::from(row.get::<_, [u8; 16]>(0)?).id());
            let (axis, bytes): (i64, Vec<u8>) = (row.get(1)?, row.get(2)?);
            let nanos = stored::full_at(&bytes).nanos_since(on(axis, now));
            if nanos > 0 && !stored::is_ladder(&bytes) {
                let forgotten_after = Duration::from_nanos(nanos);
                page.buckets.push(ListedBucket { id, forgotten_after });
            }
            page.next = Some(id);
        }
        if looked_at < LIST_STEP {
            page.next = None;
        }
        Ok(page)
    }
}

/// The instant on the axis with a number in the file.
const fn on(axis: i64, now: Now) -> Timestamp {
    match axis {
        0 => now.monotonic,
        _ => now.utc,
    }
}
