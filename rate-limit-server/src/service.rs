//! What all requests share.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use metrics_exporter_prometheus::PrometheusHandle;
use rate_limit_config::{Applied, ConfiguredLayer, ReloadError, Reloader};
use rate_limit_core::{Decision, RepositoryError};
use tracing::warn;

use crate::admission::Admission;
use crate::arguments::ReadyWhen;
use crate::audit::Audit;
use crate::bans::Bans;
use crate::check::ad_hoc::AdHocLimits;
use crate::clock;
use crate::receipts::Receipts;
use crate::sources::{Refused, Sources};
use crate::stores::OpenStore;
use crate::usage::Usage;

/// What all requests share. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Service(Arc<Parts>);

/// The parts.
pub(crate) struct Parts {
    /// Decides by the rules in force.
    pub(crate) rules: ConfiguredLayer,
    /// Decides by limits that stand in the question.
    pub(crate) ad_hoc: AdHocLimits,
    pub(crate) admission: Admission,
    pub(crate) store: OpenStore,
    pub(crate) sources: Arc<Sources>,
    pub(crate) reloader: Reloader,
    pub(crate) ready_when: ReadyWhen,
    pub(crate) prometheus: PrometheusHandle,
    pub(crate) receipts: Receipts,
    pub(crate) audit: Audit,
    pub(crate) usage: Usage,
    pub(crate) bans: Bans,
    /// Why the store could not be read when it was looked at last, if it could not.
    pub(crate) trouble: Mutex<Option<String>>,
    /// Held while an operator changes something, so that what is seen before is what is changed, and
    /// while the store is looked at, so that nobody goes back to what was read before the change.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Service {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Looks at what was decided.
    pub(crate) fn observe(&self, decision: &Decision) {
        let now = clock::unix_millis();
        self.usage.observe(decision, now);
        self.bans.observe(decision, now, &self.audit);
    }

    /// What keeps the store from answering; nothing if it answers.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let mut troubles = self.store.health.troubles();
        if troubles.is_empty() {
            let seen = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            troubles.extend(seen.clone());
        }
        troubles
    }

    /// Keeps in mind why the store could not be read.
    pub(crate) fn remember_trouble(&self, error: Option<RepositoryError>) {
        let seen = error.map(|error| error.to_string());
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// Reads the configuration again and applies it, away from the threads that answer requests. If
    /// it is refused, the blocks of operators are in force nevertheless.
    pub(crate) async fn reload(&self) -> Result<Applied, ReloadError> {
        let service = self.clone();
        away(move || {
            let outcome = service.reloader.reload();
            if let Err(why) = &outcome {
                service.sources.refuse(why.clone());
                if let Some(refused) = service.refused() {
                    warn!("{refused}");
                }
                if !service.sources.has_blocks(service.rules.version()) {
                    // What came of it was told.
                    let _ = service.put_blocks();
                }
            }
            outcome
        })
        .await
    }

    /// Puts the blocks of operators, as they are now, into the configuration in force. Nothing is
    /// read for that, so a file that is broken lets nobody in.
    pub(crate) async fn apply_blocks(&self) -> Result<Applied, ReloadError> {
        let service = self.clone();
        away(move || service.put_blocks()).await
    }

    fn put_blocks(&self) -> Result<Applied, ReloadError> {
        self.reloader.change(|configuration| {
            self.sources.put_blocks(configuration, self.rules.version() + 1);
        })
    }

    /// What operators have posted and is not in force.
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.sources.refused(self.rules.version())
    }

    /// Whether the configuration would work if this were posted, or nothing were.
    pub(crate) async fn would_apply(&self, posted: Option<Vec<u8>>) -> Result<(), ReloadError> {
        let service = self.clone();
        away(move || {
            let configuration = service.sources.read(posted.as_deref())?;
            Ok(service.rules.check(configuration)?)
        })
        .await
    }
}

/// Does what takes long on a thread of its own. If that has ended with a panic, so does the caller:
/// the panic was told, and only this request is lost.
async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only while the process ends, and then nobody waits for the answer.
            Err(_) => std::future::pending().await,
        },
    }
}

impl std::ops::Deref for Service {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("rules", &self.rules).finish_non_exhaustive()
    }
}
