//! Says aloud when the store goes away and when it is back (`RL008`): one line per change, not one
//! per request.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};

use rate_limit_core::{Enforced, RepositoryError, Timestamp};

use crate::diagnosis;
use crate::sampler::Sampler;

const CODE: &str = "RL008";

/// Whether the store answered the last time that something was said about it.
#[derive(Debug, Default)]
pub(crate) struct StoreHealth {
    is_away: AtomicBool,
    /// A store that comes and goes with every request must not be heard with every request.
    sampler: Sampler,
}

impl Clone for StoreHealth {
    /// What was said is kept. The next line need not wait for the sampler of the copy.
    fn clone(&self) -> Self {
        // Relaxed, because nothing else is published by the flag.
        let is_away = AtomicBool::new(self.is_away.load(Ordering::Relaxed));
        Self { is_away, sampler: Sampler::default() }
    }
}

impl StoreHealth {
    /// Says so if the store has gone away or come back. What could not be said because something
    /// was said within the last second is said with a later request.
    #[inline]
    pub(crate) fn observe(&self, enforced: &Enforced, at: Timestamp) {
        // Relaxed, because nothing else is published by the flag.
        let was_away = self.is_away.load(Ordering::Relaxed);
        if was_away != enforced.failure.is_some() {
            self.change(enforced, at);
        }
    }

    #[cold]
    fn change(&self, enforced: &Enforced, at: Timestamp) {
        let is_away = enforced.failure.is_some();
        // Without a policy, the store was not asked.
        let was_asked = is_away || enforced.decision.policies().next().is_some();
        if !was_asked || self.sampler.admit(at).is_none() {
            return;
        }
        if self.is_away.swap(is_away, Ordering::Relaxed) == is_away {
            return;
        }
        match &enforced.failure {
            Some(failure) => diagnosis::say(CODE, &away(failure)),
            None => diagnosis::say_resolved(CODE, BACK),
        }
    }
}

const BACK: &str = "RL008: the rate limit store answers again.";

fn away(failure: &RepositoryError) -> String {
    let cause = failure.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!(
        "RL008: {failure}{cause}, so requests are decided by the failure modes of their policies \
         until it answers again, which will be said. See {}/blob/main/docs/RL008.md",
        env!("CARGO_PKG_REPOSITORY"),
    )
}
