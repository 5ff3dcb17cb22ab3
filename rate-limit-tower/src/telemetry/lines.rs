//! Log lines about requests that do not pass, through `tracing`.
//!
//! At most one per second for each policy and outcome, so that an attack does not fill a disk.

use rate_limit_core::{Decision, PolicyOutcome, Timestamp};

use super::client_id::ClientId;
use super::trail::Entry;
use super::{AsWhole, UnderPolicy};
use crate::sampler::Sampler;

/// One policy of one rule.
#[derive(Default)]
pub(super) struct PolicyLines {
    ban: Sampler,
    deny: Sampler,
    would_deny: Sampler,
}

/// One rule.
#[derive(Default)]
pub(super) struct WholeLines {
    unavailable: Sampler,
}

impl PolicyLines {
    /// Writes a line, if it is time for one.
    pub(super) fn write(
        &self,
        rule: &str,
        under: UnderPolicy,
        one: &PolicyOutcome,
        decision: &Decision,
        entry: &Entry,
        at: Timestamp,
    ) {
        let (sampler, verdict) = match under {
            UnderPolicy::Allow => return,
            UnderPolicy::Ban => (&self.ban, "ban"),
            UnderPolicy::Deny => (&self.deny, "deny"),
            UnderPolicy::WouldDeny => (&self.would_deny, "would_deny"),
        };
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let Some(suppressed) = sampler.admit(at) else {
            return;
        };
        let limit = one.policy().capacity();
        tracing::info!(
            client_id = %ClientId::of(&entry.identity),
            endpoint = rule,
            policy = one.policy().name().as_str(),
            limit,
            current_count = limit.saturating_sub(one.outcome().remaining),
            verdict,
            degraded = decision.is_degraded(),
            suppressed,
            "rate limit exceeded"
        );
    }
}

impl WholeLines {
    /// Writes a line, if it is time for one.
    pub(super) fn write(&self, rule: &str, whole: AsWhole, entry: Option<&Entry>, at: Timestamp) {
        if whole != AsWhole::Unavailable || !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let Some(suppressed) = self.unavailable.admit(at) else {
            return;
        };
        let client_id = entry.map(|entry| ClientId::of(&entry.identity));
        tracing::info!(
            client_id = client_id.as_ref().map(tracing::field::display),
            endpoint = rule,
            verdict = "unavailable",
            degraded = true,
            suppressed,
            "rate limit unavailable"
        );
    }
}
