//! What the store answers for each charge.

use std::time::Duration;

use crate::algorithm::Wait;
use crate::inline::InlineVec;
use crate::time::Timestamp;

/// What one policy says of a request.
// As large as the numbers beside it, so that an outcome has no gaps: whoever moves one copies gaps too,
// in pieces that overlap, which the processor cannot forward from one copy to the next.
#[repr(u64)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PolicyVerdict {
    /// The units fit.
    Admit,
    /// The client is banned under the policy's penalty ladder.
    Ban,
    /// The units do not fit.
    Deny,
}

/// The answer for one charge, all of it from the same instant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// What the policy says, whether it is enforced or not.
    pub verdict: PolicyVerdict,
    /// Units that the bucket still holds after this decision, also for a client who is banned.
    pub remaining: u64,
    /// Nanoseconds until the bucket is full again, or until its fixed window ends.
    pub reset_nanos: u64,
    /// How long until the units fit; [`Wait::Now`] exactly if the verdict is
    /// [`Admit`](PolicyVerdict::Admit).
    pub wait: Wait,
    /// The mark by which the store recognises the charge when it is settled; `None` if the bucket
    /// was not charged.
    pub charged: Option<Timestamp>,
}

impl Outcome {
    /// Stands for the answer of a store that has forgotten a charge.
    pub(crate) const MISSING: Self = Self {
        verdict: PolicyVerdict::Deny,
        remaining: 0,
        reset_nanos: 0,
        wait: Wait::Never,
        charged: None,
    };

    /// Time until the bucket is full again, or until its fixed window ends.
    pub const fn reset_after(&self) -> Duration {
        Duration::from_nanos(self.reset_nanos)
    }

    /// Whether the policy says no.
    #[inline]
    pub fn is_violated(&self) -> bool {
        self.verdict != PolicyVerdict::Admit
    }
}

/// One [`Outcome`] per charge, in the order of the charges.
#[derive(Clone, Debug)]
pub struct Outcomes(InlineVec<Outcome>);

impl Outcomes {
    /// The answer for a single charge.
    #[inline]
    pub const fn one(outcome: Outcome) -> Self {
        Self(InlineVec::one(outcome))
    }

    /// The answers for `N` charges, made without a list that grows. Up to four: with more of them it
    /// does not compile, and they are collected instead.
    ///
    /// # Example: what [`evaluate_packed_few`](crate::evaluate_packed_few) decided, as an answer
    ///
    /// ```
    /// use rate_limit_core::{Outcome, Outcomes, PolicyVerdict, Wait};
    ///
    /// let left = |remaining| Outcome {
    ///     verdict: PolicyVerdict::Admit,
    ///     remaining,
    ///     reset_nanos: 0,
    ///     wait: Wait::Now,
    ///     charged: None,
    /// };
    /// let outcomes = Outcomes::few([left(9), left(99)]);
    /// assert_eq!(outcomes.iter().map(|outcome| outcome.remaining).collect::<Vec<_>>(), [9, 99]);
    /// ```
    #[inline]
    pub fn few<const N: usize>(outcomes: [Outcome; N]) -> Self {
        Self(InlineVec::few(outcomes))
    }

    #[inline]
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self(InlineVec::with_capacity(count))
    }

    #[inline]
    pub(crate) fn push(&mut self, outcome: Outcome) {
        self.0.push(outcome);
    }

    /// The answer if there was a single charge, as there nearly always is.
    ///
    /// Like [`Charges::single`](crate::Charges::single) a short cut: answers that were made for more
    /// charges and hold a single one may say `None`.
    #[inline]
    pub const fn single(&self) -> Option<&Outcome> {
        self.0.only()
    }

    /// The outcome of the charge at `index`.
    pub fn get(&self, index: usize) -> Option<&Outcome> {
        self.0.get(index)
    }

    /// How many charges were answered.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was answered.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The outcomes, in the order of the charges.
    pub fn iter(&self) -> impl Iterator<Item = &Outcome> {
        self.0.iter()
    }
}

impl FromIterator<Outcome> for Outcomes {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        Self(outcomes.into_iter().collect())
    }
}
