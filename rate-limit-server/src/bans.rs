//! Which bans were written into the audit log already, so that each is written once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rate_limit_core::{Charge, Decision, PolicyVerdict, Wait};
use rate_limit_tower::ClientId;

use crate::audit::{Audit, Entry};

/// Bans that are remembered. Beyond that a ban may be written again, and none is left out.
const REMEMBERED: usize = 10_000;

/// By how much the end of one ban may differ between two requests, because time passes between the
/// answer of the store and the look at the clock here. A ban that ends later than that is another
/// one: another instance has given the client a fresh start in between.
const SLACK_MILLIS: u64 = 1_000;

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

    /// Forgets a ban that an operator has lifted, so that the next one is written.
    pub(crate) fn forget(&self, charge: &Charge) {
        let ban = (ClientId::of(charge.identity()), charge.policy().bucket_digest());
        self.known().remove(&ban);
    }

    fn is_new(&self, ban: (ClientId, u128), until: u64, now_millis: u64) -> bool {
        let mut known = self.known();
        let is_known = |known: &u64| now_millis < *known && until <= known + SLACK_MILLIS;
        if known.get(&ban).is_some_and(is_known) {
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

    /// Nothing that is kept can be half done.
    fn known(&self) -> MutexGuard<'_, HashMap<(ClientId, u128), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rate_limit_core::{ClientIdentity, RateLimitPolicy};

    use super::*;

    #[test]
    fn a_ban_is_new_once_until_it_is_lifted_or_has_ended() {
        let bans = Bans::default();
        let policy = RateLimitPolicy::per_second(1).build().unwrap().into();
        let charge = Charge::new(ClientIdentity::user("alice").unwrap(), policy, 1);
        let ban = (ClientId::of(charge.identity()), charge.policy().bucket_digest());
        assert!(bans.is_new(ban, 60_000, 0));
        assert!(!bans.is_new(ban, 59_990, 10) && !bans.is_new(ban, 61_000, 20), "the same one");
        assert!(bans.is_new(ban, 62_000, 2_000), "another instance has lifted the first");
        assert!(!bans.is_new(ban, 62_000, 61_999));
        assert!(bans.is_new(ban, 122_000, 62_000), "the first has ended");
        bans.forget(&charge);
        assert!(bans.is_new(ban, 122_000, 62_001), "the first was lifted here");
    }
}
