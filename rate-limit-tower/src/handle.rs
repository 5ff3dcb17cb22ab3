//! What a handler can learn and say about the limits of its request.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rate_limit_core::{Charge, Decision};

/// The decision on a request, and the way to say what the request has really cost. A request
/// extension, if the layer is built with [`with_handle`](crate::RateLimitLayerBuilder::with_handle).
///
/// The cost that is reported replaces what was charged: less is given back, more is taken, up to
/// full debt. It is settled once, when the response's head arrives; if nothing was reported by then
/// and a clone of the handle is still held, such as by the stream that is the body, when the body
/// ends. A response that is given up before leaves the charge as it is.
///
/// # Example: a model that bills by tokens
///
/// ```
/// use rate_limit_tower::RateLimitHandle;
///
/// async fn complete(limit: RateLimitHandle) -> String {
///     let (answer, tokens) = ("...".to_owned(), 512);
///     limit.report_cost_of("tokens", tokens);
///     answer
/// }
/// ```
#[derive(Clone)]
pub struct RateLimitHandle(Arc<Handled>);

struct Handled {
    decision: Decision,
    rules: Box<[Arc<str>]>,
    reported: Mutex<Reported>,
}

#[derive(Default)]
struct Reported {
    /// Of all policies that are not named below.
    units: Option<u64>,
    by_policy: Vec<(Box<str>, u64)>,
}

impl RateLimitHandle {
    pub(crate) fn new(decision: Decision, rules: Box<[Arc<str>]>) -> Self {
        Self(Arc::new(Handled { decision, rules, reported: Mutex::default() }))
    }

    /// What was decided before the request passed.
    pub fn decision(&self) -> &Decision {
        &self.0.decision
    }

    /// The names of the rules that apply to the request, for logs.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.0.rules.iter().map(|name| &**name)
    }

    /// Says what the request has cost under each of its policies. The last report counts.
    pub fn report_cost(&self, units: u64) {
        self.reported(|reported| reported.units = Some(units));
    }

    /// Says what the request has cost under the policy of this name. The last report counts.
    pub fn report_cost_of(&self, policy: &str, units: u64) {
        self.reported(|reported| {
            reported.by_policy.retain(|(name, _)| **name != *policy);
            reported.by_policy.push((policy.into(), units));
        });
    }

    /// Whether anything was reported.
    pub(crate) fn has_report(&self) -> bool {
        self.reported(|reported| reported.units.is_some() || !reported.by_policy.is_empty())
    }

    /// Whether somebody else may still report something.
    pub(crate) fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// What a charge has really cost.
    pub(crate) fn actual(&self, charge: &Charge) -> u64 {
        self.reported(|reported| {
            let name = charge.policy().name().as_str();
            let named = reported.by_policy.iter().find(|(policy, _)| **policy == *name);
            named.map(|(_, units)| *units).or(reported.units).unwrap_or(charge.units())
        })
    }

    fn reported<T>(&self, with: impl FnOnce(&mut Reported) -> T) -> T {
        with(&mut self.0.reported.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for RateLimitHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitHandle")
            .field("decision", &self.0.decision)
            .field("rules", &self.0.rules)
            .finish_non_exhaustive()
    }
}
