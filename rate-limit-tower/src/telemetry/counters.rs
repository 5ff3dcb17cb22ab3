//! Metrics, through the facade `metrics`. Handles are registered with the recorder that is
//! installed when the layer is built.

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use rate_limit_core::RepositoryErrorKind;

use super::{AsWhole, UnderPolicy};

const REQUESTS: &str = "rate_limit_requests_total";
const EXCEEDED: &str = "rate_limit_exceeded_total";
const STORE_LATENCY: &str = "rate_limit_store_latency_seconds";
const STORE_ERRORS: &str = "rate_limit_store_errors_total";
const DEGRADED: &str = "rate_limit_degraded_total";

/// Says what each metric means.
pub(super) fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "What became of requests under each policy");
    describe_counter!(EXCEEDED, Unit::Count, "Requests that an enforced policy said no to");
    describe_counter!(STORE_ERRORS, Unit::Count, "Calls that the store did not answer");
    describe_counter!(DEGRADED, Unit::Count, "Requests that were decided without the store");
    describe_histogram!(
        STORE_LATENCY,
        Unit::Seconds,
        "How long requests waited for a store that did not answer at once"
    );
}

/// One policy of one rule.
pub(super) struct PolicyCounters {
    allowed: Counter,
    banned: Counter,
    denied: Counter,
    would_deny: Counter,
    exceeded: Counter,
}

/// One rule, where no policy of it has spoken.
pub(super) struct WholeCounters {
    allowed: Counter,
    blocked: Counter,
    exempt: Counter,
    missing_identity: Counter,
    unavailable: Counter,
}

/// The store.
pub(super) struct StoreMetrics {
    latency: Histogram,
    degraded: Counter,
    corrupt: Counter,
    misconfigured: Counter,
    other: Counter,
    overloaded: Counter,
    timeout: Counter,
    unavailable: Counter,
}

fn requests(rule: &str, policy: &str, outcome: &'static str) -> Counter {
    let (rule, policy) = (rule.to_owned(), policy.to_owned());
    counter!(REQUESTS, "rule" => rule, "policy" => policy, "outcome" => outcome)
}

impl PolicyCounters {
    pub(super) fn new(rule: &str, policy: &str) -> Self {
        let requests = |outcome| requests(rule, policy, outcome);
        let (rule, policy) = (rule.to_owned(), policy.to_owned());
        Self {
            allowed: requests("allowed"),
            banned: requests("banned"),
            denied: requests("denied"),
            would_deny: requests("would_deny"),
            exceeded: counter!(EXCEEDED, "rule" => rule, "policy" => policy),
        }
    }

    pub(super) fn count(&self, under: UnderPolicy) {
        match under {
            UnderPolicy::Allow => self.allowed.increment(1),
            UnderPolicy::Ban => self.banned.increment(1),
            UnderPolicy::Deny => self.denied.increment(1),
            UnderPolicy::WouldDeny => self.would_deny.increment(1),
        }
        if matches!(under, UnderPolicy::Ban | UnderPolicy::Deny) {
            self.exceeded.increment(1);
        }
    }
}

impl WholeCounters {
    pub(super) fn new(rule: &str) -> Self {
        let requests = |outcome| requests(rule, "", outcome);
        Self {
            allowed: requests("allowed"),
            blocked: requests("blocked"),
            exempt: requests("exempt"),
            missing_identity: requests("missing_identity"),
            unavailable: requests("unavailable"),
        }
    }

    pub(super) fn count(&self, whole: AsWhole) {
        match whole {
            AsWhole::Allow => self.allowed.increment(1),
            AsWhole::Block => self.blocked.increment(1),
            AsWhole::Exempt => self.exempt.increment(1),
            AsWhole::MissingIdentity => self.missing_identity.increment(1),
            AsWhole::Unavailable => self.unavailable.increment(1),
        }
    }
}

impl StoreMetrics {
    pub(super) fn new() -> Self {
        let errors = |kind: &'static str| counter!(STORE_ERRORS, "kind" => kind);
        Self {
            latency: histogram!(STORE_LATENCY),
            degraded: counter!(DEGRADED),
            corrupt: errors("corrupt"),
            misconfigured: errors("misconfigured"),
            other: errors("other"),
            overloaded: errors("overloaded"),
            timeout: errors("timeout"),
            unavailable: errors("unavailable"),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a latency of 100 days may be off by a second")]
    pub(super) fn answered_after(&self, nanos: u64) {
        self.latency.record(nanos as f64 / 1e9);
    }

    pub(super) fn failed(&self, kind: RepositoryErrorKind) {
        let counter = match kind {
            RepositoryErrorKind::Corrupt => &self.corrupt,
            RepositoryErrorKind::Misconfigured => &self.misconfigured,
            RepositoryErrorKind::Overloaded => &self.overloaded,
            RepositoryErrorKind::Timeout => &self.timeout,
            RepositoryErrorKind::Unavailable => &self.unavailable,
            _ => &self.other,
        };
        counter.increment(1);
    }

    pub(super) fn degraded(&self) {
        self.degraded.increment(1);
    }
}
