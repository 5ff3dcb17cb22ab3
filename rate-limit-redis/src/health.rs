//! How the store is doing: what was reported of each server, and each change as one event.
//!
//! A change is one event, however many calls noticed it: one log line (feature `tracing`), one
//! count (feature `metrics`), and one [`HealthChange`] for the program itself. Nothing is said
//! about single requests.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::repository::RedisRepository;

mod reason;
mod telemetry;

pub use reason::AwayReason;

/// So many changes are kept for a program that does not look.
const KEPT_CHANGES: usize = 256;

/// How the store is doing at one moment. See [`RedisRepository::health`](crate::RedisRepository::health).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// Every server that holds buckets: one, or the masters of a cluster. Empty while no node of
    /// a cluster has answered yet.
    pub servers: Vec<ServerHealth>,
}

/// How one server is doing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerHealth {
    /// Which server: its host and port, the path of its socket, or the name of the master that
    /// Sentinels know.
    pub server: Arc<str>,
    /// Why there is no connection, if there is none.
    pub away: Option<AwayReason>,
    /// Whether the server is asked.
    pub breaker: BreakerState,
}

/// Whether a server is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BreakerState {
    /// Every decision is asked for.
    Closed,
    /// One decision at a time is asked for, to see whether the server is well again.
    HalfOpen,
    /// No decision is asked for.
    Open,
}

/// One change of one server.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HealthChange {
    /// Which server, as in [`ServerHealth::server`].
    pub server: Arc<str>,
    /// What has changed.
    pub event: HealthEvent,
}

/// What has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HealthEvent {
    /// There is a connection, and the server takes decisions.
    Connected,
    /// There is no connection any more, or still none for another reason.
    Away(AwayReason),
    /// Decisions are no longer asked for.
    BreakerOpened {
        /// The failure that made it open.
        cause: Arc<str>,
    },
    /// One decision at a time is asked for.
    BreakerHalfOpened,
    /// Decisions are asked for again.
    BreakerClosed,
    /// The server may evict keys of clients that are in debt, which forgives it.
    EvictsDebt {
        /// Its `maxmemory-policy`.
        policy: Arc<str>,
    },
    /// No secret was configured for the digests in keys.
    DigestsArePseudonyms,
    /// The server has had no slot of the cluster for a minute, and is not looked after any more.
    Forgotten,
}

/// The changes from the moment of asking on. See
/// [`RedisRepository::health_changes`](crate::RedisRepository::health_changes).
#[derive(Debug)]
pub struct HealthChanges {
    /// What was found while the repository was built, when nobody could ask yet.
    found: Option<HealthChange>,
    receiver: broadcast::Receiver<HealthChange>,
}

impl HealthChanges {
    /// Waits for the next change; `None` once the repository is gone.
    ///
    /// Whoever does not ask for long misses the oldest; the newest 256 are kept.
    pub async fn next(&mut self) -> Option<HealthChange> {
        if let Some(found) = self.found.take() {
            return Some(found);
        }
        loop {
            match self.receiver.recv().await {
                Ok(change) => return Some(change),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Health {
    /// Whether every server is connected and asked.
    pub fn is_well(&self) -> bool {
        !self.servers.is_empty() && self.servers.iter().all(ServerHealth::is_well)
    }
}

impl ServerHealth {
    /// Whether the server is connected and asked.
    pub fn is_well(&self) -> bool {
        self.away.is_none() && self.breaker == BreakerState::Closed
    }
}

impl fmt::Display for HealthEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Away(reason) => write!(f, "away: {reason}"),
            Self::BreakerOpened { cause } => write!(
                f,
                "the breaker opened: {cause}; requests are decided by the failure modes of their \
                 policies until the server is well again, which will be said"
            ),
            Self::Forgotten => f.write_str("forgotten: it has no slot of the cluster any more"),
            Self::BreakerHalfOpened => f.write_str("the breaker lets one decision at a time try"),
            Self::BreakerClosed => f.write_str("the breaker closed: the server is well again"),
            Self::EvictsDebt { policy } => write!(
                f,
                "`maxmemory-policy {policy}` may evict the buckets of clients in debt, which \
                 forgives it; cure: CONFIG SET maxmemory-policy volatile-ttl"
            ),
            Self::DigestsArePseudonyms => f.write_str(
                "no key secret is configured, so whoever reads the keys can test which clients \
                 they belong to; cure: set one with `key_secret(..)`, the same in every process",
            ),
        }
    }
}

impl RedisRepository {
    /// How the servers are doing at this moment.
    ///
    /// # Example: a readiness check that tells why
    ///
    /// ```no_run
    /// use rate_limit_redis::RedisRepository;
    ///
    /// fn ready(store: &RedisRepository) -> Result<(), String> {
    ///     let health = store.health();
    ///     match health.servers.iter().find_map(|server| server.away.as_ref()) {
    ///         Some(reason) => Err(format!("rate limits are local: Redis {reason}")),
    ///         None => Ok(()),
    ///     }
    /// }
    /// ```
    pub fn health(&self) -> Health {
        self.link.health()
    }

    /// The changes of health from now on. Whoever asks first is also told what was found while the
    /// repository was built: [`HealthEvent::DigestsArePseudonyms`].
    pub fn health_changes(&self) -> HealthChanges {
        self.link.reporter().changes()
    }
}

/// Where changes are reported.
#[derive(Debug)]
pub(crate) struct Reporter {
    changes: broadcast::Sender<HealthChange>,
    found: Mutex<Option<HealthChange>>,
}

impl Reporter {
    pub(crate) fn new() -> Self {
        Self { changes: broadcast::Sender::new(KEPT_CHANGES), found: Mutex::new(None) }
    }

    /// Reports what was found while the repository is being built, and keeps it for the first who
    /// asks for changes.
    pub(crate) fn report_finding(&self, server: &Arc<str>, event: HealthEvent) {
        telemetry::tell(server, &event);
        *self.found() = Some(HealthChange { server: Arc::clone(server), event });
    }

    /// Reports one change, once.
    pub(crate) fn report(&self, server: &Arc<str>, event: HealthEvent) {
        telemetry::tell(server, &event);
        // An error says that nobody listens, which is no fault.
        let _ = self.changes.send(HealthChange { server: Arc::clone(server), event });
    }

    pub(crate) fn changes(&self) -> HealthChanges {
        HealthChanges { found: self.found().take(), receiver: self.changes.subscribe() }
    }

    fn found(&self) -> MutexGuard<'_, Option<HealthChange>> {
        // Nothing in between can panic, so a poisoned lock is recovered.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
