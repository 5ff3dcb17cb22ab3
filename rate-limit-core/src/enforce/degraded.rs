//! Deciding while the store does not answer.

use std::sync::Arc;

use super::{
    Answer, Charges, Decide, Decision, Enforced, FailureMode, Fallback, Origin, Outcomes,
    RateLimitRepository, RepositoryError, Shared, Verdict, Wait,
};

impl<R> Shared<R> {
    /// Decides by the failure modes of the policies: one enforced `Deny` refuses the request;
    /// otherwise the fallback takes all charges or none.
    pub(super) fn decide_without_store(
        &self,
        charges: Charges,
        failure: RepositoryError,
    ) -> Decide {
        let Some(charges) = self.degraded_charges(&charges) else {
            return Decide::Ready(unavailable(failure));
        };
        let fallback = match &self.fallback {
            Fallback::Repository(fallback) if !charges.is_empty() => fallback,
            _ => return Decide::Ready(undecided(&charges, failure)),
        };
        match fallback.acquire(&charges) {
            Answer::Ready(answer) => Decide::Ready(conclude(charges, answer, failure)),
            Answer::Pending(answer) => {
                Decide::Pending(Box::pin(async move { conclude(charges, answer.await, failure) }))
            }
        }
    }

    /// The charges under the policies that hold without the store; `None` if an enforced policy
    /// would rather not decide.
    fn degraded_charges(&self, charges: &Charges) -> Option<Charges> {
        let mut degraded = Charges::new();
        for charge in charges.iter() {
            let policy = charge.policy();
            match policy.failure_mode() {
                FailureMode::Allow => degraded.push(charge.clone()),
                FailureMode::AllowUnlimited => {}
                FailureMode::Deny if policy.is_enforced() => return None,
                FailureMode::Deny => {}
                FailureMode::Local => {
                    // Derived anew for each decision: outages are rare, and policies may be made
                    // per request, so a cache would need bounds of its own.
                    degraded.push(charge.under(Arc::new(policy.share_of(self.nodes))));
                }
            }
        }
        Some(degraded)
    }
}

/// A `Local` policy out of units denies (429). An `Allow` policy that has spent its budget, and a
/// request that only the whole store could admit, are unavailable (503).
fn conclude(
    charges: Charges,
    answer: Result<Outcomes, RepositoryError>,
    failure: RepositoryError,
) -> Enforced {
    let outcomes = match answer {
        Ok(outcomes) if outcomes.len() == charges.len() => outcomes,
        _ => return undecided(&charges, failure),
    };
    let mut enforced = Enforced::from_outcomes(charges, &outcomes, Origin::Fallback);
    let beyond_fallback = enforced.decision.violated().any(|one| {
        one.policy().failure_mode() == FailureMode::Allow || one.outcome().wait == Wait::Never
    });
    if beyond_fallback {
        enforced.decision.set_verdict(Verdict::Unavailable);
    }
    enforced.failure = Some(failure);
    enforced
}

/// Nobody answers. Enforced policies decide alone: where none is left nobody objects, and what shadow
/// policies would have said is not known.
fn undecided(charges: &Charges, failure: RepositoryError) -> Enforced {
    if charges.iter().any(|charge| charge.policy().is_enforced()) {
        return unavailable(failure);
    }
    let decision = Decision::plain(Verdict::Allow, Origin::Fallback);
    Enforced { failure: Some(failure), ..Enforced::of(decision) }
}

fn unavailable(failure: RepositoryError) -> Enforced {
    let decision = Decision::plain(Verdict::Unavailable, Origin::Fallback);
    Enforced { failure: Some(failure), ..Enforced::of(decision) }
}
