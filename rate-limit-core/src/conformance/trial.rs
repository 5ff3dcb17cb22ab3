//! What the scenarios are written with.

use std::fmt::Debug;
use std::sync::Arc;

use super::executor::block_on;
use super::subject::{AdministeredRepository, Profile, Subject};
use crate::adjustment::{Adjusted, Adjustment, Adjustments, Change, Settled};
use crate::charge::{Charge, Charges};
use crate::document::DocumentRepository;
use crate::identity::ClientIdentity;
use crate::manual_clock::ManualClock;
use crate::outcome::{Outcome, Outcomes};
use crate::policy::{RateLimitPolicy, RateLimitPolicyBuilder};
use crate::repository::RateLimitRepository;
use crate::time::Timestamp;

/// What a scenario saw instead of what it expected.
#[derive(Debug)]
pub(super) struct Mismatch(pub(super) String);

/// The result of a part of a scenario.
pub(super) type Checked<T = ()> = Result<T, Mismatch>;

/// So that `?` works on whatever a store, a policy or an identity may complain about.
impl<E: std::error::Error> From<E> for Mismatch {
    fn from(error: E) -> Self {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Self(format!("{error}{cause}"))
    }
}

/// Ends the scenario unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::trial::Mismatch(format!($($message)+)));
        }
    };
}
pub(super) use ensure;

/// Ends the scenario unless two values are equal.
pub(super) fn equal<T: PartialEq + Debug>(what: &str, seen: T, expected: T) -> Checked {
    ensure!(seen == expected, "{what}: {seen:?} instead of {expected:?}");
    Ok(())
}

/// One run of one scenario.
pub(super) struct Trial<'a> {
    pub(super) profile: Profile,
    pub(super) subject: &'a dyn Subject,
}

impl Trial<'_> {
    /// A fresh store on a fresh clock.
    pub(super) fn store(&self) -> Store {
        let clock = ManualClock::new();
        let repository = self.subject.fresh(clock.clone()).into();
        Store { clock, repository }
    }

    /// The same with access for operators; `None` if the store offers none.
    pub(super) fn administered(&self) -> Option<(Store, Arc<dyn AdministeredRepository>)> {
        let clock = ManualClock::new();
        let administered: Arc<dyn AdministeredRepository> =
            self.subject.fresh_administered(clock.clone())?.into();
        Some((Store { clock, repository: administered.clone() }, administered))
    }

    /// A fresh place for documents; `None` if the store keeps none.
    pub(super) fn documents(&self) -> Option<Box<dyn DocumentRepository>> {
        self.subject.fresh_documents(ManualClock::new())
    }
}

/// A store together with the clock that it lives on.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) clock: ManualClock,
    pub(super) repository: Arc<dyn RateLimitRepository>,
}

/// A policy, shared.
pub(super) type Policy = Arc<RateLimitPolicy>;

/// One charge that was taken, and what the store said.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) charge: Charge,
    pub(super) outcome: Outcome,
}

impl Store {
    /// Asks for several charges at once.
    pub(super) fn ask(&self, charges: impl IntoIterator<Item = Charge>) -> Checked<Outcomes> {
        let charges: Charges = charges.into_iter().collect();
        let outcomes = block_on(self.repository.acquire(&charges))?;
        equal("outcomes per charge", outcomes.len(), charges.len())?;
        Ok(outcomes)
    }

    /// Asks for one charge.
    pub(super) fn take(
        &self,
        who: &ClientIdentity,
        policy: &Policy,
        units: u64,
    ) -> Checked<Outcome> {
        let outcomes = self.ask([charge(who, policy, units)])?;
        outcomes.get(0).copied().ok_or_else(|| Mismatch("an answer without outcomes".to_owned()))
    }

    /// Asks for one charge that has to be admitted.
    pub(super) fn admitted(
        &self,
        who: &ClientIdentity,
        policy: &Policy,
        units: u64,
    ) -> Checked<Taken> {
        let outcome = self.take(who, policy, units)?;
        ensure!(!outcome.is_violated(), "{units} of {policy} were not admitted: {outcome:?}");
        Ok(Taken { charge: charge(who, policy, units), outcome })
    }

    /// Asks for one charge that must not be admitted.
    pub(super) fn denied(
        &self,
        who: &ClientIdentity,
        policy: &Policy,
        units: u64,
    ) -> Checked<Outcome> {
        let outcome = self.take(who, policy, units)?;
        ensure!(outcome.is_violated(), "{units} of {policy} were admitted: {outcome:?}");
        ensure!(outcome.charged.is_none(), "{units} of {policy} were denied and yet charged");
        Ok(outcome)
    }

    /// Where a client stands, asked with a cost of zero.
    pub(super) fn standing(&self, who: &ClientIdentity, policy: &Policy) -> Checked<Outcome> {
        self.take(who, policy, 0)
    }

    /// How many units remain, asked with a cost of zero.
    pub(super) fn remaining(&self, who: &ClientIdentity, policy: &Policy) -> Checked<u64> {
        Ok(self.standing(who, policy)?.remaining)
    }

    /// Corrects several charges at once.
    pub(super) fn settle(
        &self,
        adjustments: impl IntoIterator<Item = Adjustment>,
    ) -> Checked<Settled> {
        let adjustments: Adjustments = adjustments.into_iter().collect();
        let settled = block_on(self.repository.settle(&adjustments))?;
        equal("results per adjustment", settled.iter().count(), adjustments.len())?;
        Ok(settled)
    }

    /// Corrects one charge.
    pub(super) fn change(&self, taken: &Taken, change: Change) -> Checked<Adjusted> {
        Ok(self.settle([taken.adjustment(change)?])?.total())
    }

    /// Gives back units of one charge; returns how many were returned.
    pub(super) fn refund(&self, taken: &Taken, units: u64) -> Checked<u64> {
        Ok(self.change(taken, Change::Refund(units))?.returned)
    }

    /// Moves the clock forward.
    pub(super) fn advance_nanos(&self, nanos: u64) {
        self.clock.advance(std::time::Duration::from_nanos(nanos));
    }
}

impl Taken {
    /// A correction of this charge.
    pub(super) fn adjustment(&self, change: Change) -> Checked<Adjustment> {
        let charged = self.outcome.charged.unwrap_or(Timestamp::ORIGIN);
        ensure!(self.outcome.charged.is_some(), "admitted and not charged: {self:?}");
        Ok(Adjustment {
            identity: self.charge.identity().clone(),
            policy: self.charge.policy().clone(),
            charged,
            units: self.charge.units(),
            change,
        })
    }
}

/// A charge.
pub(super) fn charge(who: &ClientIdentity, policy: &Policy, units: u64) -> Charge {
    Charge::new(who.clone(), policy.clone(), units)
}

/// A user.
pub(super) fn user(name: &str) -> Checked<ClientIdentity> {
    Ok(ClientIdentity::user(name)?)
}

/// A policy.
pub(super) fn policy(builder: RateLimitPolicyBuilder) -> Checked<Policy> {
    Ok(Arc::new(builder.build()?))
}
