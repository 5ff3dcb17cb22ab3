//! The decision on a request: one value from which headers, bodies and logs are made.

use std::sync::Arc;

use crate::algorithm::Wait;
use crate::charge::{Charge, Charges};
use crate::identity::ClientIdentity;
use crate::inline::InlineVec;
use crate::outcome::{Outcome, Outcomes, PolicyVerdict};
use crate::policy::RateLimitPolicy;

/// What happens to a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// It passes, and was counted.
    Allow,
    /// It is on the list of the blocked (403).
    Block,
    /// A policy says no (429).
    Deny,
    /// It is on the list of the exempt: it passes, and was not counted.
    Exempt,
    /// The store does not answer, and the policy does not let it pass (503).
    Unavailable,
}

/// Who took the decision.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Origin {
    /// The fallback of this process, while the store does not answer. The decision is *degraded*.
    Fallback,
    /// The store.
    Store,
}

/// The decision on one request, all of it from one instant.
#[derive(Clone, Debug)]
pub struct Decision {
    verdict: Verdict,
    origin: Origin,
    policies: InlineVec<PolicyOutcome>,
}

/// One policy and what it says.
#[derive(Clone, Debug)]
pub struct PolicyOutcome {
    charge: Charge,
    outcome: Outcome,
}

impl PolicyOutcome {
    /// Whose bucket was asked.
    pub const fn identity(&self) -> &ClientIdentity {
        self.charge.identity()
    }

    /// The policy, in the version that decided.
    #[inline]
    pub const fn policy(&self) -> &Arc<RateLimitPolicy> {
        self.charge.policy()
    }

    /// The units asked for.
    pub const fn units(&self) -> u64 {
        self.charge.units()
    }

    pub(crate) const fn charge(&self) -> &Charge {
        &self.charge
    }

    /// What the policy says.
    #[inline]
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

impl Decision {
    /// A decision without a look at any policy.
    pub(crate) const fn plain(verdict: Verdict, origin: Origin) -> Self {
        Self { verdict, origin, policies: InlineVec::new() }
    }

    /// Becomes the decision that follows from the answer of a store, with the charges in it, of
    /// which none stays behind. A charge without an outcome counts as turned away; the caller makes
    /// sure that there is none.
    #[inline]
    pub(crate) fn conclude(&mut self, charges: &mut Charges, outcomes: &Outcomes, origin: Origin) {
        self.verdict = Verdict::Allow;
        self.origin = origin;
        let verdict = &mut self.verdict;
        charges.0.drain_into(&mut self.policies, |index, charge| {
            let outcome = outcomes.get(index).copied().unwrap_or(Outcome::MISSING);
            if outcome.is_violated() && charge.policy().is_enforced() {
                *verdict = Verdict::Deny;
            }
            PolicyOutcome { charge, outcome }
        });
    }

    pub(crate) const fn set_verdict(&mut self, verdict: Verdict) {
        self.verdict = verdict;
    }

    pub(crate) const fn origin(&self) -> Origin {
        self.origin
    }

    /// Moves the decision to `place` and leaves one without policies behind: for those who hold it
    /// behind a reference and pass it on for good. Only as much is moved as there is in it, which is
    /// far less than a decision has room for.
    #[inline]
    pub fn move_to(&mut self, place: &mut Self) {
        let Self { verdict, origin, policies } = self;
        (place.verdict, place.origin) = (*verdict, *origin);
        policies.drain_into(&mut place.policies, |_, one| one);
    }

    /// What happens to the request.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether the request passes.
    pub const fn is_allowed(&self) -> bool {
        matches!(self.verdict, Verdict::Allow | Verdict::Exempt)
    }

    /// Whether the decision was taken without the store.
    pub const fn is_degraded(&self) -> bool {
        matches!(self.origin, Origin::Fallback)
    }

    /// All policies and what they say, in the order of the charges.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyOutcome> {
        self.policies.iter()
    }

    /// The enforced policies and what they say, in the order of the charges.
    pub fn enforced(&self) -> impl Iterator<Item = &PolicyOutcome> {
        self.policies.iter().filter(|one| one.policy().is_enforced())
    }

    /// The enforced policies that say no.
    pub fn violated(&self) -> impl Iterator<Item = &PolicyOutcome> {
        self.enforced().filter(|one| one.outcome.is_violated())
    }

    /// The shadow policies and what they say, for metrics and logs only.
    pub fn shadow(&self) -> impl Iterator<Item = &PolicyOutcome> {
        self.policies.iter().filter(|one| !one.policy().is_enforced())
    }

    /// The shadow policies that would have denied the request.
    pub fn would_deny(&self) -> impl Iterator<Item = &PolicyOutcome> {
        self.shadow().filter(|one| one.outcome.is_violated())
    }

    /// The policy that describes the decision best: on denial the violated one with the longest
    /// wait, otherwise the enforced one with the least `remaining / capacity`. The first among
    /// equals; `None` if no enforced policy was asked.
    #[inline]
    pub fn closest(&self) -> Option<&PolicyOutcome> {
        match self.policies.only() {
            // One policy, as nearly always, is compared with none.
            Some(one) => one.policy().is_enforced().then_some(one),
            None => self.closest_of_several(),
        }
    }

    fn closest_of_several(&self) -> Option<&PolicyOutcome> {
        let longest_wait = self.violated().reduce(|longest, one| {
            if one.outcome.wait > longest.outcome.wait { one } else { longest }
        });
        longest_wait.or_else(|| {
            self.enforced().reduce(|least, one| if is_closer(one, least) { one } else { least })
        })
    }

    /// How long the client has to wait: the longest wait of the violated policies.
    /// [`Wait::Now`] if none is violated.
    pub fn wait(&self) -> Wait {
        self.violated().map(|one| one.outcome.wait).max().unwrap_or(Wait::Now)
    }

    /// Whether a ban of a penalty ladder is among the reasons for the denial.
    pub fn is_ban(&self) -> bool {
        self.violated().any(|one| one.outcome.verdict == PolicyVerdict::Ban)
    }
}

/// Compares `remaining / capacity` without dividing. Both are at most 2^32, so the products fit.
fn is_closer(one: &PolicyOutcome, other: &PolicyOutcome) -> bool {
    one.outcome.remaining.saturating_mul(other.policy().capacity())
        < other.outcome.remaining.saturating_mul(one.policy().capacity())
}
