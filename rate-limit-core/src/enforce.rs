//! The use case: from the charges of a request to one decision.

use std::net::IpAddr;
use std::sync::Arc;

use thiserror::Error;

use crate::access::{Access, AccessLists};
use crate::adjustment::Settled;
use crate::algorithm::Wait;
use crate::charge::{Charge, Charges};
use crate::decision::{Decision, Origin, Verdict};
use crate::outcome::Outcomes;
use crate::policy::{FailureMode, RateLimitPolicy};
use crate::receipt::Receipt;
use crate::repository::{
    Acquire, Answer, RateLimitRepository, RepositoryError, RepositoryErrorKind, Settle,
};

mod builder;
mod degraded;

pub use builder::{EnforceError, EnforceRateLimitBuilder};

/// Decides requests: exemptions and blocks, one call to the store, and what happens when the store
/// does not answer.
///
/// Cloning shares everything.
///
/// # Example: a limit without any web framework
///
/// ```
/// # #[cfg(feature = "conformance")] {
/// use std::sync::Arc;
/// use rate_limit_core::conformance::ModelRepository;
/// use rate_limit_core::{
///     Charge, Charges, ClientIdentity, Decide, EnforceRateLimit, ManualClock, RateLimitPolicy,
///     Verdict,
/// };
///
/// let policy = Arc::new(RateLimitPolicy::per_minute(1).build()?);
/// let store = ModelRepository::new(ManualClock::new());
/// let limit = EnforceRateLimit::builder(store).without_fallback().build()?;
///
/// let ask = || -> Verdict {
///     let charge = Charge::new(ClientIdentity::GLOBAL, policy.clone(), 1);
///     match limit.decide(None, [charge].into_iter().collect()) {
///         Decide::Ready(enforced) => enforced.decision.verdict(),
///         Decide::Pending(_) => unreachable!("this store answers at once"),
///     }
/// };
/// assert_eq!(ask(), Verdict::Allow);
/// assert_eq!(ask(), Verdict::Deny);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EnforceRateLimit<R> {
    shared: Arc<Shared<R>>,
}

#[derive(Debug)]
struct Shared<R> {
    repository: R,
    fallback: Fallback,
    nodes: u32,
    access: AccessLists,
}

/// What decides while the store does not answer.
enum Fallback {
    /// Nothing: what an enforced policy wanted decided is unavailable. For stores that always answer.
    None,
    /// Another store, in this process.
    Repository(Arc<dyn RateLimitRepository>),
}

impl std::fmt::Debug for Fallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "Fallback::None",
            Self::Repository(_) => "Fallback::Repository(..)",
        })
    }
}

/// A decision, and the right to settle what it charged.
#[derive(Debug)]
pub struct Enforced {
    /// The decision.
    pub decision: Decision,
    /// Why the store did not answer; `None` if it did.
    pub failure: Option<RepositoryError>,
    /// Whether somebody has the receipt already.
    receipt: Handed,
}

/// What became of a receipt. Made only for those who settle, because most requests never are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Handed {
    No,
    Out,
}

/// The decision on a request: at once, or later.
#[allow(clippy::large_enum_variant, reason = "a box would cost the common case an allocation")]
pub enum Decide {
    /// Decided at once.
    Ready(Enforced),
    /// The store is still working.
    Pending(PendingDecision),
}

/// A decision that is still awaited.
pub type PendingDecision = std::pin::Pin<Box<dyn Future<Output = Enforced> + Send>>;

impl std::fmt::Debug for Decide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready(enforced) => f.debug_tuple("Ready").field(enforced).finish(),
            Self::Pending(_) => f.write_str("Pending(..)"),
        }
    }
}

impl Enforced {
    const fn of(decision: Decision) -> Self {
        Self { decision, failure: None, receipt: Handed::No }
    }

    const fn without_policies(verdict: Verdict) -> Self {
        Self::of(Decision::plain(verdict, Origin::Store))
    }

    fn from_outcomes(mut charges: Charges, outcomes: &Outcomes, origin: Origin) -> Self {
        let mut enforced = Self::default();
        enforced.decision.conclude(&mut charges, outcomes, origin);
        enforced
    }

    /// The receipt for what was charged. `None` if nothing was, or if it was taken before: a charge
    /// is settled once only.
    pub fn take_receipt(&mut self) -> Option<Receipt> {
        match std::mem::replace(&mut self.receipt, Handed::Out) {
            Handed::No => Receipt::of(&self.decision),
            Handed::Out => None,
        }
    }
}

/// What there is to say of a request that no policy was asked about: it passes.
impl Default for Enforced {
    fn default() -> Self {
        Self::without_policies(Verdict::Allow)
    }
}

impl<R: RateLimitRepository + 'static> EnforceRateLimit<R> {
    /// Begins to build the use case on a store.
    pub fn builder(repository: R) -> EnforceRateLimitBuilder<R> {
        EnforceRateLimitBuilder::new(repository)
    }

    /// Decides a request from `address` (for the lists of exempt and blocked networks) that makes
    /// `charges`.
    ///
    /// The order of steps is: exempt or blocked; nothing charged; the store; and if it does not
    /// answer, the failure modes of the policies.
    pub fn decide(&self, address: Option<IpAddr>, charges: Charges) -> Decide {
        let access = self.access(address, &charges);
        self.decide_with(access, charges)
    }

    /// What the lists say of a request from `address` that makes `charges`.
    #[inline]
    pub fn access(&self, address: Option<IpAddr>, charges: &Charges) -> Access {
        self.shared.access.access(address, charges)
    }

    /// Decides a request of which it is known already whether it is exempt or blocked: for callers
    /// that know more about it than the lists of exempt and blocked.
    pub fn decide_with(&self, access: Access, mut charges: Charges) -> Decide {
        let mut enforced = Enforced::default();
        match self.decide_into(&mut enforced, access, &mut charges) {
            None => Decide::Ready(enforced),
            Some(decision) => Decide::Pending(decision),
        }
    }

    /// Decides like [`decide_with`](Self::decide_with), in place of what stands in `enforced`: for
    /// callers with so many requests that it matters to them how often a decision is moved. The
    /// charges move into it. If the store is still working, `enforced` means nothing, and what is
    /// returned has to be awaited.
    #[inline]
    pub fn decide_into(
        &self,
        enforced: &mut Enforced,
        access: Access,
        charges: &mut Charges,
    ) -> Option<PendingDecision> {
        let verdict = match access {
            Access::Block => Some(Verdict::Block),
            Access::Exempt => Some(Verdict::Exempt),
            Access::Limit if charges.is_empty() => Some(Verdict::Allow),
            Access::Limit => None,
        };
        *enforced = Enforced::without_policies(verdict.unwrap_or(Verdict::Allow));
        if verdict.is_some() {
            return None;
        }
        let answer = self.shared.repository.acquire(charges);
        // Looked at before it is taken apart, because an answer is a large value to move.
        if let Answer::Ready(Ok(outcomes)) = &answer
            && outcomes.len() == charges.len()
        {
            enforced.decision.conclude(charges, outcomes, Origin::Store);
            return None;
        }
        match self.decide_otherwise(answer, std::mem::take(charges)) {
            Decide::Ready(decided) => {
                *enforced = decided;
                None
            }
            Decide::Pending(decision) => Some(decision),
        }
    }

    /// Decides once the store has answered, or without it if that was no answer.
    #[cold]
    fn decide_otherwise(&self, answer: Acquire, charges: Charges) -> Decide {
        match answer {
            Answer::Ready(answer) => self.shared.decide_without_store(charges, failure_of(answer)),
            Answer::Pending(answer) => {
                let shared = self.shared.clone();
                Decide::Pending(Box::pin(async move {
                    match answer.await {
                        Ok(outcomes) if outcomes.len() == charges.len() => {
                            Enforced::from_outcomes(charges, &outcomes, Origin::Store)
                        }
                        answer => match shared.decide_without_store(charges, failure_of(answer)) {
                            Decide::Ready(enforced) => enforced,
                            Decide::Pending(enforced) => enforced.await,
                        },
                    }
                }))
            }
        }
    }

    /// Corrects what a request was charged: every charge of the receipt becomes what `actual` says
    /// of it.
    ///
    /// Less than was charged is given back as far as time has not given it back already; more is
    /// taken without a test, up to full debt. It is done once and never repeated: if the store
    /// does not answer, the charge stays as it is.
    ///
    /// # Example: count only failures
    ///
    /// ```
    /// # #[cfg(feature = "conformance")] {
    /// # use std::sync::Arc;
    /// # use rate_limit_core::conformance::{ModelRepository, block_on};
    /// # use rate_limit_core::*;
    /// # let policy = Arc::new(RateLimitPolicy::per_minute(1).build()?);
    /// # let store = ModelRepository::new(ManualClock::new());
    /// # let limit = EnforceRateLimit::builder(store).without_fallback().build()?;
    /// # let charges = [Charge::new(ClientIdentity::GLOBAL, policy, 1)].into_iter().collect();
    /// # let Decide::Ready(mut enforced) = limit.decide(None, charges) else { unreachable!() };
    /// let login_succeeded = true;
    /// if let (Some(receipt), true) = (enforced.take_receipt(), login_succeeded) {
    ///     let settled = block_on(limit.settle(receipt, |_charge| 0))?;
    ///     assert_eq!(settled.total().returned, 1);
    /// }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn settle(&self, receipt: Receipt, actual: impl Fn(&Charge) -> u64) -> Settle {
        let origin = receipt.origin();
        let adjustments = receipt.adjustments(actual);
        if adjustments.is_empty() {
            return Answer::ready(Settled::from_iter([]));
        }
        match (origin, &self.shared.fallback) {
            (Origin::Fallback, Fallback::Repository(fallback)) => fallback.settle(&adjustments),
            _ => self.shared.repository.settle(&adjustments),
        }
    }

    /// The store.
    pub fn repository(&self) -> &R {
        &self.shared.repository
    }
}

/// Why there is no decision of the store. An answer of another length says nothing about some of
/// the charges, so it is none.
#[cold]
fn failure_of(answer: Result<Outcomes, RepositoryError>) -> RepositoryError {
    let wrong_length = |_| {
        let cause = "the answer has not one outcome per charge";
        RepositoryError::with_source(RepositoryErrorKind::Corrupt, cause)
    };
    answer.map_or_else(|failure| failure, wrong_length)
}

impl<R> Clone for EnforceRateLimit<R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}
