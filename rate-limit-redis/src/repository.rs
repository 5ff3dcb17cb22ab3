//! The port, implemented.

use std::fmt;
use std::sync::Arc;

use rate_limit_core::{
    Acquire, Adjustments, Answer, Charges, ClientIdentity, Clock, Outcomes, RateLimitRepository,
    RepositoryError, RepositoryErrorKind, Settle,
};
use tokio::runtime::Handle;

use crate::coalescing::Coalescer;
use crate::compensation;
use crate::deciding::{Deciding, Taking};
use crate::guard::Guard;
use crate::key::KeyRing;
use crate::link::{Link, LinkError, Slot, Topology};
use crate::settling::Settling;

/// Buckets in Redis or Valkey, shared by all processes that use the same server and prefix.
///
/// Each decision is one round trip, whatever it charges; decisions that are asked for at the same
/// time travel together. Clones share everything.
#[derive(Clone)]
pub struct RedisRepository {
    pub(crate) link: Link,
    pub(crate) keys: KeyRing,
    guard: Guard,
    decisions: Arc<Coalescer<Deciding>>,
    settlements: Arc<Coalescer<Settling>>,
    pub(crate) runtime: Handle,
}

impl RedisRepository {
    /// A store at the end of `link`. Instants are the server's, unless a test brings a clock.
    pub(crate) fn from_parts(
        link: Link,
        guard: Guard,
        keys: KeyRing,
        clock: Option<Arc<dyn Clock>>,
        runtime: Handle,
    ) -> Self {
        let decisions = Coalescer::new(link.clone(), keys.clone(), clock.clone(), runtime.clone());
        let settlements = Coalescer::new(link.clone(), keys.clone(), clock, runtime.clone());
        let (decisions, settlements) = (Arc::new(decisions), Arc::new(settlements));
        Self { link, keys, guard, decisions, settlements, runtime }
    }

    fn slot_of(&self, identity: &ClientIdentity) -> Slot {
        self.keys.owner(identity).slot()
    }

    /// The slot in which all of these identities lie; `None` if there are several.
    fn common_slot<'a>(
        &self,
        mut identities: impl Iterator<Item = &'a ClientIdentity>,
    ) -> Option<Slot> {
        if self.link.topology() == Topology::OneServer {
            return Some(Slot::ONLY);
        }
        let Some(first) = identities.next() else {
            return Some(Slot::ONLY);
        };
        let slot = self.slot_of(first);
        identities.all(|other| other == first || self.slot_of(other) == slot).then_some(slot)
    }
}

impl RateLimitRepository for RedisRepository {
    fn acquire(&self, charges: &Charges) -> Acquire {
        if charges.is_empty() {
            return Answer::ready(Outcomes::from_iter([]));
        }
        if let Some(reason) = Deciding::refused(charges) {
            let refused = RepositoryErrorKind::Misconfigured;
            return Answer::Ready(Err(RepositoryError::with_source(refused, reason)));
        }
        let decisions = self.decisions.clone();
        if let Some(slot) = self.common_slot(charges.iter().map(rate_limit_core::Charge::identity))
        {
            let asked = decisions.ask(slot, Deciding::new(charges.clone(), Taking::AllOrNothing));
            return self.guard.protect(slot, async move { Ok(asked.await?.outcomes) });
        }
        let parts = compensation::parts(charges, |identity| self.slot_of(identity));
        let slot = compensation::first_slot(&parts);
        let work = compensation::acquire(decisions, self.settlements.clone(), parts);
        self.guard.protect(slot, finish_anyway(&self.runtime, work))
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        if adjustments.is_empty() {
            return Answer::ready(rate_limit_core::Settled::from_iter([]));
        }
        let settlements = self.settlements.clone();
        if let Some(slot) = self.common_slot(adjustments.iter().map(|it| &it.identity)) {
            return self.guard.protect(slot, settlements.ask(slot, Settling(adjustments.clone())));
        }
        let slots: Vec<Slot> = adjustments.iter().map(|it| self.slot_of(&it.identity)).collect();
        let slot = slots.first().copied().unwrap_or(Slot::ONLY);
        let work = compensation::settle(settlements, adjustments.clone(), slots);
        self.guard.protect(slot, finish_anyway(&self.runtime, work))
    }
}

/// Lets `work` come to its end whether or not somebody still waits for it.
fn finish_anyway<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = Result<T, LinkError>> + Send + 'static,
) -> impl Future<Output = Result<T, LinkError>> + Send + 'static {
    let task = runtime.spawn(work);
    async move { task.await.unwrap_or(Err(LinkError::new(RepositoryErrorKind::Unavailable))) }
}

impl fmt::Debug for RedisRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRepository")
            .field("link", &self.link)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
