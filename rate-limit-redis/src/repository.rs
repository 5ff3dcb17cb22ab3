//! The port, implemented.

use std::fmt;
use std::sync::Arc;

use rate_limit_core::{
    Acquire, Adjustments, Answer, Charge, Charges, ClientIdentity, Clock, Outcomes,
    RateLimitRepository, RepositoryError, RepositoryErrorKind, Settle, Settled,
};
use tokio::runtime::Handle;

use crate::clock::SystemClock;
use crate::coalescing::Coalescer;
use crate::compensation::{self, Compensation};
use crate::deciding::{Deciding, Taking};
use crate::denial_cache::DenialCache;
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
    /// What was denied lately, in front of this store without it.
    pub(crate) denials: Option<DenialCache<RedisRepository, SystemClock>>,
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
        Self { link, keys, guard, decisions, settlements, runtime, denials: None }
    }

    /// The same store, which answers from memory what it has just denied.
    pub(crate) fn remembering_denials(self) -> Self {
        let denials = DenialCache::new(self.clone(), SystemClock::new());
        Self { denials: Some(denials), ..self }
    }

    /// How many requests were denied from memory, without asking Redis; see [`DenialCache`].
    pub fn denied_from_memory(&self) -> u64 {
        self.denials.as_ref().map_or(0, DenialCache::answered)
    }

    /// Asks Redis, whatever was denied before.
    pub(crate) fn decide(&self, charges: &Charges) -> Acquire {
        if charges.is_empty() {
            return Answer::ready(Outcomes::from_iter([]));
        }
        if let Some(reason) = Deciding::refused(charges) {
            let refused = RepositoryErrorKind::Misconfigured;
            return Answer::Ready(Err(RepositoryError::with_source(refused, reason)));
        }
        let Some(slot) = self.common_slot(charges.iter().map(Charge::identity)) else {
            let parts = compensation::parts(charges, |identity| self.slot_of(identity));
            let deadline = self.guard.deadline();
            return self.finish_anyway(self.compensation().acquire(deadline, parts));
        };
        let request = Deciding::new(charges.clone(), Taking::AllOrNothing);
        let decided = self.decisions.clone().ask(slot, request);
        self.guard.protect(slot, async move { Ok(decided.await?.outcomes) })
    }

    fn compensation(&self) -> Compensation {
        Compensation {
            guard: self.guard.clone(),
            decisions: self.decisions.clone(),
            settlements: self.settlements.clone(),
        }
    }

    /// Lets `work` come to its end whether or not somebody still waits for it.
    fn finish_anyway<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, LinkError>> + Send + 'static,
    ) -> Answer<T> {
        let task = self.runtime.spawn(work);
        Answer::pending(async move {
            let ended = || LinkError::Lost("the runtime has ended".into());
            Ok(task.await.unwrap_or_else(|_| Err(ended()))?)
        })
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
        match &self.denials {
            // Asks the store behind it, which has none, for whatever it does not know.
            Some(denials) => denials.acquire(charges),
            None => self.decide(charges),
        }
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        if let Some(denials) = &self.denials {
            return denials.settle(adjustments);
        }
        if adjustments.is_empty() {
            return Answer::ready(Settled::from_iter([]));
        }
        let Some(slot) = self.common_slot(adjustments.iter().map(|it| &it.identity)) else {
            let slots = adjustments.iter().map(|it| self.slot_of(&it.identity)).collect();
            let deadline = self.guard.deadline();
            let adjustments = adjustments.clone();
            return self.finish_anyway(self.compensation().settle(deadline, adjustments, slots));
        };
        let settled = self.settlements.clone().ask(slot, Box::new(Settling(adjustments.clone())));
        self.guard.protect(slot, settled)
    }
}

impl fmt::Debug for RedisRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRepository")
            .field("link", &self.link)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
