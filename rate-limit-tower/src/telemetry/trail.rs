//! What has to be remembered of a request to tell what became of it.

use rate_limit_core::Charges;
#[cfg(feature = "tracing")]
use rate_limit_core::ClientIdentity;
#[cfg(feature = "metrics")]
use rate_limit_core::Timestamp;
use smallvec::SmallVec;

use crate::time_of_day::TimeOfDay;

/// Which rule made which charge, and since when the store is awaited.
#[derive(Default)]
pub(crate) struct Trail {
    /// One per charge, in their order. As many as charges without an allocation.
    entries: SmallVec<[Entry; 4]>,
    #[cfg(feature = "metrics")]
    waiting_since: Option<Timestamp>,
}

/// One charge.
pub(crate) struct Entry {
    /// The place of the rule that made it, the first one if several did.
    pub(crate) rule: usize,
    /// Whose bucket. Leaves this process only as a digest.
    #[cfg(feature = "tracing")]
    pub(crate) identity: ClientIdentity,
}

impl Trail {
    /// Notes that `rule` has made the last of the charges, unless it was added to another one.
    pub(crate) fn charged(&mut self, rule: usize, charges: &Charges) {
        if self.entries.len() == charges.len() {
            return;
        }
        let Some(_charge) = charges.get(self.entries.len()) else {
            return;
        };
        self.entries.push(Entry {
            rule,
            #[cfg(feature = "tracing")]
            identity: _charge.identity().clone(),
        });
    }

    /// Notes that the store has not answered at once. One that does is not timed: reading a clock
    /// twice would take as long as it does.
    pub(crate) fn wait(&mut self, time: &TimeOfDay) {
        #[cfg(feature = "metrics")]
        {
            self.waiting_since = Some(time.monotonic());
        }
        #[cfg(not(feature = "metrics"))]
        let _ = time;
    }

    /// The charges, in their order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Since when the store was awaited; `None` if it answered at once.
    #[cfg(feature = "metrics")]
    pub(super) const fn waiting_since(&self) -> Option<Timestamp> {
        self.waiting_since
    }
}
