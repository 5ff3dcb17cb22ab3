//! Which bans were written into the audit log already, so that each is written once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rate_limit_core::{Decision, PolicyVerdict, Wait};
use rate_limit_tower::ClientId;

use crate::audit::{Audit, Entry};

/// Bans that are remembered. Beyond that a ban may be written again, and none is left out.
const REMEMBERED: usize = 10_000;

/// Until when whose ban under which policy lasts, in milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(crate) struct Bans(Mutex<HashMap<(ClientId, u128), u64>>);

impl Bans {
    /// Writes down the bans that this decision tells and that were not known.
    pub(crate) fn observe(&self, decision: &Decision, now_millis: u64, audit: &Audit) {
        if !decision.is_ban() {
            return;
        }
        let banned = |verdict| verdict == PolicyVerdict::Ban;
        for one in decision.violated().filter(|one| banned(one.outcome().verdict)) {
            let Wait::After(nanos) = one.outcome().wait else { continue };
            let until = now_millis.saturating_add(nanos / 1_000_000);
            let client = ClientId::of(one.identity());
            if !self.is_new((client, one.policy().bucket_digest()), until, now_millis) {
                continue;
            }
            let entry = Entry::of("ban")
                .with("clientId", client.to_string())
                .with("policy", one.policy().name().as_str())
                .with("seconds", nanos.div_ceil(1_000_000_000));
            audit.append(entry);
        }
    }

    fn is_new(&self, ban: (ClientId, u128), until: u64, now_millis: u64) -> bool {
        // Nothing that is kept can be half done.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&ban).is_some_and(|until| now_millis < *until) {
            return false;
        }
        if known.len() >= REMEMBERED {
            known.retain(|_, until| now_millis < *until);
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(ban, until);
        true
    }
}
