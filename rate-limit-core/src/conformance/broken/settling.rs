//! Settling, with the mistakes that can be made there.

use super::careless::CarelessRepository;
use super::keeping::{Keeping, key};
use super::mistake::Mistake;
use crate::adjustment::{Adjusted, Adjustment, Change};
use crate::algorithm::BucketState;
use crate::evaluate::adjust;
use crate::sliding_log::{LogEntry, SlidingLogState};
use crate::time::{Now, TimeAxis};

impl CarelessRepository {
    pub(super) fn adjust(
        &self,
        keeping: &mut Keeping,
        adjustment: &Adjustment,
        now: Now,
    ) -> Adjusted {
        let mut adjustment = adjustment.clone();
        let policy = adjustment.policy.clone();
        let key = key(self.mistake, &adjustment.identity, &policy);
        let mut record = keeping.load(&key);
        let at = self.instant(&policy, now);
        let remaining = record
            .bucket
            .as_ref()
            .map_or(policy.capacity(), |bucket| policy.algorithm().remaining(bucket, at));
        match (self.mistake, adjustment.change) {
            (Mistake::NeverSettles, _) => return Adjusted::default(),
            (Mistake::RefundsMoreThanCharged, Change::Refund(back)) => adjustment.units = back,
            (Mistake::RefundsPaidUnits, Change::Refund(_)) => {
                if let Some(BucketState::TokenBucket(_)) = record.bucket {
                    adjustment.charged = at;
                }
            }
            (Mistake::RefundsClosedWindows, Change::Refund(_)) => {
                if let Some(BucketState::FixedWindow(state)) = &record.bucket {
                    adjustment.charged = state.start;
                }
            }
            (Mistake::RefundsAnotherEntry, Change::Refund(_)) => {
                if let Some(BucketState::SlidingLog(log)) = &mut record.bucket {
                    *log = with_oldest_at(log, adjustment.charged);
                }
            }
            (Mistake::AddsOnlyIfAllFits, Change::Add(more)) if more > remaining => {
                return Adjusted { returned: 0, excess: more };
            }
            _ => {}
        }
        let now = match policy.axis() {
            TimeAxis::Monotonic => now,
            TimeAxis::Utc => Now { utc: at, ..now },
        };
        let adjusted = adjust(&adjustment, &mut record, now);
        keeping.save(self.mistake, key, record);
        adjusted
    }
}

/// The log with its oldest entry where the refunded one was, and the refunded one in its place.
fn with_oldest_at(log: &SlidingLogState, refunded: crate::time::Timestamp) -> SlidingLogState {
    let mut entries: Vec<LogEntry> = log.entries().collect();
    let index = entries.iter().position(|entry| entry.at == refunded).unwrap_or(0);
    let units = |entries: &[LogEntry], index: usize| entries.get(index).map_or(0, |it| it.units);
    let (oldest, other) = (units(&entries, 0), units(&entries, index));
    if let Some(entry) = entries.first_mut() {
        entry.units = other;
    }
    if let Some(entry) = entries.get_mut(index) {
        entry.units = oldest;
    }
    SlidingLogState::from_entries(entries)
}
