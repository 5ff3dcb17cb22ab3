//! What operators are told: metrics (feature `metrics`) and log lines (feature `tracing`).
//!
//! Every series and every line is labelled by names from the configuration, never by anything that
//! a client sent, so their number does not grow with the number of clients.

use std::sync::Arc;

use rate_limit_core::{
    Decision, Enforced, PolicyOutcome, PolicyVerdict, RateLimitPolicy, Timestamp, Verdict,
};

use crate::rules::{Matched, Rules};
use crate::time_of_day::TimeOfDay;

#[cfg(feature = "tracing")]
mod client_id;
#[cfg(feature = "metrics")]
mod counters;
#[cfg(feature = "tracing")]
mod lines;
mod trail;

#[cfg(feature = "tracing")]
pub use client_id::ClientId;
pub(crate) use trail::Trail;

/// Label of the policies that a rule chooses per request and does not name itself: their number
/// cannot be known beforehand.
pub(crate) const CHOSEN: &str = "chosen";

/// What one layer tells its operators. Made once, so that no request looks anything up by name or
/// allocates.
pub(crate) struct Telemetry {
    rules: Box<[OfRule]>,
    /// For requests that no rule applies to.
    no_rule: OfWhole,
    #[cfg(feature = "metrics")]
    store: counters::StoreMetrics,
}

/// What is told of one rule.
struct OfRule {
    policies: Box<[OfPolicy]>,
    chosen: Option<OfPolicy>,
    whole: OfWhole,
}

/// What is told of one policy of one rule.
struct OfPolicy {
    #[cfg(feature = "tracing")]
    rule: Arc<str>,
    policy: Box<str>,
    #[cfg(feature = "metrics")]
    counters: counters::PolicyCounters,
    #[cfg(feature = "tracing")]
    lines: lines::PolicyLines,
}

/// What is told of requests about which no policy of a rule has spoken.
struct OfWhole {
    #[cfg(feature = "tracing")]
    rule: Arc<str>,
    #[cfg(feature = "metrics")]
    counters: counters::WholeCounters,
    #[cfg(feature = "tracing")]
    lines: lines::WholeLines,
}

/// What became of a request under one policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UnderPolicy {
    Allow,
    Ban,
    Deny,
    WouldDeny,
}

/// What became of a request about which no policy has spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AsWhole {
    Allow,
    Block,
    Exempt,
    MissingIdentity,
    Unavailable,
}

impl Telemetry {
    /// Registers everything there will ever be to tell.
    pub(crate) fn new(rules: &Rules) -> Self {
        #[cfg(feature = "metrics")]
        counters::describe();
        let of_rule = |rule: &crate::rules::ReadyRule| {
            let named = rule.policies.iter().map(|policy| policy.name().as_str());
            OfRule {
                policies: named.map(|policy| OfPolicy::new(&rule.name, policy)).collect(),
                chosen: rule.asks.policies.as_ref().map(|_| OfPolicy::new(&rule.name, CHOSEN)),
                whole: OfWhole::new(&rule.name),
            }
        };
        Self {
            rules: (0..).map_while(|place| rules.get(place)).map(of_rule).collect(),
            no_rule: OfWhole::new(&Arc::from("")),
            #[cfg(feature = "metrics")]
            store: counters::StoreMetrics::new(),
        }
    }

    /// Tells what was decided, at this time of day. Nothing was if nobody knows who asks.
    pub(crate) fn observe(
        &self,
        enforced: Option<&Enforced>,
        matched: &Matched,
        trail: &Trail,
        at: Timestamp,
        time: &TimeOfDay,
    ) {
        #[cfg(feature = "metrics")]
        {
            if let Some(since) = trail.waiting_since() {
                self.store.answered_after(time.monotonic().nanos_since(since));
            }
            if let Some(failure) = enforced.and_then(|enforced| enforced.failure.as_ref()) {
                self.store.failed(failure.kind());
            }
            if enforced.is_some_and(|enforced| enforced.decision.is_degraded()) {
                self.store.degraded();
            }
        }
        #[cfg(not(feature = "metrics"))]
        let _ = time;
        let Some(decision) = enforced.map(|enforced| &enforced.decision) else {
            return self.observe_whole(AsWhole::MissingIdentity, matched, trail, at);
        };
        match decision.verdict() {
            Verdict::Block => self.observe_whole(AsWhole::Block, matched, trail, at),
            Verdict::Exempt => self.observe_whole(AsWhole::Exempt, matched, trail, at),
            Verdict::Unavailable => self.observe_whole(AsWhole::Unavailable, matched, trail, at),
            Verdict::Allow if decision.policies().next().is_none() => {
                self.observe_whole(AsWhole::Allow, matched, trail, at);
            }
            Verdict::Allow | Verdict::Deny => self.observe_policies(decision, trail, at),
        }
    }

    /// The store could not be told what a request has really cost.
    pub(crate) fn not_settled(&self, failure: &rate_limit_core::RepositoryError) {
        #[cfg(feature = "metrics")]
        self.store.failed(failure.kind());
        #[cfg(not(feature = "metrics"))]
        let _ = failure;
    }

    fn observe_policies(&self, decision: &Decision, trail: &Trail, at: Timestamp) {
        let mut entries = trail.entries();
        for one in decision.policies() {
            // Without the store, some policies may not have been asked; the order stays.
            let found = entries.find_map(|entry| {
                let rule = self.rules.get(entry.rule)?;
                Some((rule.policy(one.policy())?, entry))
            });
            let (Some((policy, entry)), Some(under)) = (found, UnderPolicy::of(one, decision))
            else {
                continue;
            };
            #[cfg(feature = "metrics")]
            policy.counters.count(under);
            #[cfg(feature = "tracing")]
            policy.lines.write(&policy.rule, under, one, decision, entry, at);
            let _ = (policy, entry, under, at);
        }
    }

    fn observe_whole(&self, whole: AsWhole, matched: &Matched, trail: &Trail, at: Timestamp) {
        let rules =
            matched.iter().filter_map(|place| Some((*place, &self.rules.get(*place)?.whole)));
        let nobody = matched.is_empty().then_some((usize::MAX, &self.no_rule));
        for (place, of) in rules.chain(nobody) {
            #[cfg(feature = "metrics")]
            of.counters.count(whole);
            #[cfg(feature = "tracing")]
            of.lines.write(&of.rule, whole, trail.entries().find(|entry| entry.rule == place), at);
            let _ = (place, of, whole, trail, at);
        }
    }
}

impl UnderPolicy {
    /// `None` if another policy turned the request away, so that nothing was taken from this one.
    fn of(one: &PolicyOutcome, decision: &Decision) -> Option<Self> {
        match one.outcome().verdict {
            PolicyVerdict::Ban | PolicyVerdict::Deny if !one.policy().is_enforced() => {
                Some(Self::WouldDeny)
            }
            PolicyVerdict::Ban => Some(Self::Ban),
            PolicyVerdict::Deny => Some(Self::Deny),
            PolicyVerdict::Admit => decision.is_allowed().then_some(Self::Allow),
        }
    }
}

impl OfRule {
    fn policy(&self, policy: &RateLimitPolicy) -> Option<&OfPolicy> {
        let name = policy.name().as_str();
        self.policies.iter().find(|of| *of.policy == *name).or(self.chosen.as_ref())
    }
}

impl OfPolicy {
    fn new(rule: &Arc<str>, policy: &str) -> Self {
        Self {
            #[cfg(feature = "metrics")]
            counters: counters::PolicyCounters::new(rule, policy),
            #[cfg(feature = "tracing")]
            lines: lines::PolicyLines::default(),
            #[cfg(feature = "tracing")]
            rule: rule.clone(),
            policy: policy.into(),
        }
    }
}

impl OfWhole {
    fn new(rule: &Arc<str>) -> Self {
        Self {
            #[cfg(feature = "metrics")]
            counters: counters::WholeCounters::new(rule),
            #[cfg(feature = "tracing")]
            lines: lines::WholeLines::default(),
            #[cfg(feature = "tracing")]
            rule: rule.clone(),
        }
    }
}
