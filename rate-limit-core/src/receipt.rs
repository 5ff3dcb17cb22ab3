//! What was charged, to be settled once the response is known.

use crate::adjustment::{Adjustment, Adjustments, Change};
use crate::charge::Charge;
use crate::decision::{Decision, Origin};
use crate::inline::InlineVec;
use crate::time::Timestamp;

/// What one request was charged, and by whom.
///
/// A receipt is consumed when it is settled, so a charge can be settled once only. A receipt that
/// is dropped leaves the charge as it is. See
/// [`EnforceRateLimit::settle`](crate::EnforceRateLimit::settle).
#[derive(Debug)]
#[must_use = "a receipt that is dropped leaves the charge as it is"]
pub struct Receipt {
    origin: Origin,
    charged: InlineVec<(Charge, Timestamp)>,
}

impl Receipt {
    /// The receipt for what was charged; `None` if that is nothing.
    pub(crate) fn of(decision: &Decision) -> Option<Self> {
        let charged: InlineVec<_> = decision
            .policies()
            .filter_map(|one| Some((one.charge().clone(), one.outcome().charged?)))
            .collect();
        (charged.len() > 0).then(|| Self { origin: decision.origin(), charged })
    }

    /// Who has charged.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// What was charged.
    pub fn charges(&self) -> impl Iterator<Item = &Charge> {
        self.charged.iter().map(|(charge, _)| charge)
    }

    /// The adjustments that turn what was charged into what `actual` says; charges that stay as
    /// they are need none.
    pub(crate) fn adjustments(self, actual: impl Fn(&Charge) -> u64) -> Adjustments {
        self.charged
            .into_iter()
            .filter_map(|(charge, charged)| {
                let (units, actual) = (charge.units(), actual(&charge));
                let change = if actual < units {
                    Change::Refund(units - actual)
                } else {
                    Change::Add(actual - units)
                };
                let (identity, policy) = charge.into_parts();
                (change != Change::Add(0)).then_some(Adjustment {
                    identity,
                    policy,
                    charged,
                    units,
                    change,
                })
            })
            .collect()
    }
}
