//! What a request asks of the store after its response is known: adjustments.

use std::sync::Arc;

use crate::identity::ClientIdentity;
use crate::inline::InlineVec;
use crate::policy::RateLimitPolicy;
use crate::time::Timestamp;

/// A correction of one charge that was made before.
#[derive(Clone, Debug)]
pub struct Adjustment {
    /// Whose bucket.
    pub identity: ClientIdentity,
    /// The version of the policy that charged.
    pub policy: Arc<RateLimitPolicy>,
    /// The mark of the charge, from its [`Outcome`](crate::Outcome).
    pub charged: Timestamp,
    /// The units of the charge.
    pub units: u64,
    /// What to change.
    pub change: Change,
}

/// How the units of a charge change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Take this many more, without a test, up to full debt.
    Add(u64),
    /// Give back up to this many, as far as time has not given them back already.
    Refund(u64),
}

/// What became of one adjustment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Adjusted {
    /// Units of a refund for which anything was given back.
    pub returned: u64,
    /// Units to add that found no room and were not taken.
    pub excess: u64,
}

/// All adjustments of one request.
#[derive(Clone, Debug)]
pub struct Adjustments(InlineVec<Adjustment>);

impl Adjustments {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The adjustments, in the order of the charges.
    pub fn iter(&self) -> impl Iterator<Item = &Adjustment> {
        self.0.iter()
    }
}

impl FromIterator<Adjustment> for Adjustments {
    fn from_iter<I: IntoIterator<Item = Adjustment>>(adjustments: I) -> Self {
        Self(adjustments.into_iter().collect())
    }
}

/// One [`Adjusted`] per adjustment, in their order.
#[derive(Clone, Debug)]
pub struct Settled(InlineVec<Adjusted>);

impl Settled {
    /// What became of the adjustments, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Adjusted> {
        self.0.iter()
    }

    /// All together.
    pub fn total(&self) -> Adjusted {
        self.iter().fold(Adjusted::default(), |sum, one| Adjusted {
            returned: sum.returned.saturating_add(one.returned),
            excess: sum.excess.saturating_add(one.excess),
        })
    }
}

impl FromIterator<Adjusted> for Settled {
    fn from_iter<I: IntoIterator<Item = Adjusted>>(adjusted: I) -> Self {
        Self(adjusted.into_iter().collect())
    }
}
