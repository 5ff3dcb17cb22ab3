//! Decisions and corrections, within a transaction: core's own arithmetic over the rows of a file.

use rate_limit_core::{
    Adjusted, Adjustment, Adjustments, Charges, Now, Outcomes, RateLimitPolicy, Record,
    RepositoryError, RepositoryErrorKind, Settled, TimeAxis, adjust, evaluate,
};
use smallvec::SmallVec;

use crate::buckets::{Found, Session};
use crate::key::{Key, Place};
use crate::stored::{self, Stored};

/// The rows of all charges, in their order.
pub(crate) type Places = SmallVec<[Place; 2]>;

/// What there is under a place.
struct Kept {
    bucket: Option<Found>,
    ladder: Option<Found>,
}

/// A row that has to be written.
struct Change {
    key: Key,
    axis: TimeAxis,
    found: Option<Found>,
    new: Stored,
}

/// Within [`rusqlite::Result`], which ends the whole transaction, what ends one call alone.
pub(crate) type Answered<T> = rusqlite::Result<Result<T, RepositoryError>>;

impl Session {
    /// Tests all charges and takes all of them, or none.
    pub(crate) fn decide(&mut self, charges: &Charges, places: &Places) -> Answered<Outcomes> {
        let mut kept: SmallVec<[Kept; 2]> = SmallVec::new();
        for place in places {
            kept.push(self.look_up(place)?);
        }
        let now = self.timeline.now();
        let mut records: SmallVec<[Record; 2]> = charges
            .iter()
            .zip(&kept)
            .map(|(charge, kept)| kept.record(charge.policy(), now))
            .collect();
        let outcomes = evaluate(charges, &mut records, now);
        let mut changes = Changes::default();
        for (charge, (place, (record, kept))) in
            charges.iter().zip(places.iter().zip(records.into_iter().zip(kept)))
        {
            if let Err(error) = changes.note(charge.policy(), *place, record, kept) {
                return Ok(Err(error));
            }
        }
        Ok(self.write(&changes.0, now)?.map(|()| outcomes))
    }

    /// Carries out each adjustment by itself.
    pub(crate) fn settle(
        &mut self,
        adjustments: &Adjustments,
        places: &Places,
    ) -> Answered<Settled> {
        let mut settled = Vec::with_capacity(adjustments.len());
        for (adjustment, place) in adjustments.iter().zip(places) {
            match self.adjust(adjustment, place)? {
                Ok(adjusted) => settled.push(adjusted),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(settled.into_iter().collect()))
    }

    fn adjust(&mut self, adjustment: &Adjustment, place: &Place) -> Answered<Adjusted> {
        // A correction is neither a strike nor stopped by a ban.
        let place = Place { ladder: None, ..*place };
        let kept = self.look_up(&place)?;
        let now = self.timeline.now();
        let mut record = kept.record(&adjustment.policy, now);
        let adjusted = adjust(adjustment, &mut record, now);
        let mut changes = Changes::default();
        if let Err(error) = changes.note(&adjustment.policy, place, record, kept) {
            return Ok(Err(error));
        }
        Ok(self.write(&changes.0, now)?.map(|()| adjusted))
    }

    fn look_up(&self, place: &Place) -> rusqlite::Result<Kept> {
        let ladder = place.ladder.map(|key| self.find(key)).transpose()?.flatten();
        Ok(Kept { bucket: self.find(place.bucket)?, ladder })
    }

    /// Writes what has changed, if there is room for it.
    fn write(&mut self, changes: &[Change], now: Now) -> Answered<()> {
        let (mut more, mut less) = (0_u64, 0_u64);
        for Change { found, new, .. } in changes {
            more = more.saturating_add(new.weight.into());
            less = less.saturating_add(found.as_ref().map_or(0, |found| found.weight.into()));
        }
        if more > less && self.book.taken.saturating_add(more - less) > self.cap {
            let own: SmallVec<[Key; 4]> = changes.iter().map(|change| change.key).collect();
            if !self.make_room(more - less, &own, now)? {
                return Ok(Err(too_small(self.cap)));
            }
        }
        for Change { key, axis, found, new } in changes {
            self.put(*key, *axis, found.as_ref(), new)?;
        }
        Ok(Ok(()))
    }
}

impl Kept {
    fn record(&self, policy: &RateLimitPolicy, now: Now) -> Record {
        let (algorithm, at) = (policy.algorithm(), now.on(policy.axis()));
        let bucket = self.bucket.as_ref().map(|row| stored::read_bucket(algorithm, &row.bytes, at));
        let ladder = self.ladder.as_ref().and_then(|row| stored::read_ladder(&row.bytes));
        Record { bucket, ladder, ..Record::EMPTY }
    }
}

/// What one call writes.
#[derive(Default)]
struct Changes(SmallVec<[Change; 2]>);

impl Changes {
    fn note(
        &mut self,
        policy: &RateLimitPolicy,
        place: Place,
        record: Record,
        kept: Kept,
    ) -> Result<(), RepositoryError> {
        if let (true, Some(state)) = (record.bucket_changed, &record.bucket) {
            let Some(new) = Stored::bucket(policy.algorithm(), state) else {
                return Err(unknown_algorithm(policy));
            };
            let axis = policy.axis();
            self.0.push(Change { key: place.bucket, axis, found: kept.bucket, new });
        }
        if let (true, Some(state), Some(ladder), Some(key)) =
            (record.ladder_changed, &record.ladder, policy.penalty(), place.ladder)
        {
            let new = Stored::ladder(ladder, state);
            self.0.push(Change { key, axis: TimeAxis::Monotonic, found: kept.ladder, new });
        }
        Ok(())
    }
}

fn unknown_algorithm(policy: &RateLimitPolicy) -> RepositoryError {
    let text = format!("policy `{policy}` counts in a way that rate-limit-sqlite cannot keep");
    RepositoryError::with_source(RepositoryErrorKind::Misconfigured, text)
}

fn too_small(cap: u64) -> RepositoryError {
    let text = format!(
        "max_keys = {cap} is too small for the logs of one request; expected room for all their \
         entries"
    );
    RepositoryError::with_source(RepositoryErrorKind::Misconfigured, text)
}
