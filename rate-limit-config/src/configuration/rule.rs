//! One rule: which requests, whose buckets, which limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderName, Method};
use rate_limit_core::RateLimitPolicy;
use rate_limit_tower::{Exposure, Preflight};

use super::identity::{KeyPart, OnMissing};

/// One `rule`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RuleSettings {
    /// Its name, which no other rule has.
    pub name: String,
    /// Of each group, at most one rule applies to a request. The first group has no name.
    pub group: String,
    /// Only these methods; all if there are none.
    pub methods: Vec<Method>,
    /// Only these paths; all if there are none.
    pub paths: Vec<PathMatch>,
    /// Only these hosts, in lower case and without a port; all if there are none.
    pub hosts: Vec<String>,
    /// Whose bucket: the combination of these parts, at least one.
    pub key: Vec<KeyPart>,
    /// The limits of whoever is of no tier that has its own. Those of a rule in shadow mode are
    /// shadow policies, all others are enforced.
    pub limits: Vec<Arc<RateLimitPolicy>>,
    /// By the name of the tier, the limits that replace the rule's own. Those that stand for each
    /// other have the same name, so that a client that changes its tier keeps its buckets.
    pub tiers: BTreeMap<String, Vec<Arc<RateLimitPolicy>>>,
    /// How many units a request takes.
    pub cost: Cost,
    /// For whom the rule is enforced.
    pub enforcement: Enforcement,
    /// Which requests count.
    pub count: CountedResponses,
    /// What becomes of requests whose key is absent.
    pub on_missing: OnMissing,
    /// What becomes of CORS preflights.
    pub preflight: Preflight,
    /// How much the client is told, if it is not what the section `responses` says.
    pub expose: Option<Exposure>,
    /// Where the client can read about this limit.
    pub documentation_url: Option<String>,
}

/// Which paths a rule is for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PathMatch {
    /// As for [`rate_limit_tower::Rule::path`].
    Pattern(String),
    /// As for [`rate_limit_tower::Rule::path_prefix`].
    Prefix(String),
}

/// How many units a request takes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cost {
    /// What a header field says.
    Header(HeaderCost),
    /// What its method costs.
    Methods(MethodCost),
    /// Always as many.
    Units(u64),
}

/// A cost that a header field says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HeaderCost {
    /// The field.
    pub header: HeaderName,
    /// The cost if the field is absent or no number.
    pub default: u64,
    /// The least that a request costs, whatever it says.
    pub min: u64,
    /// The most that a request costs, whatever it says.
    pub max: u64,
}

/// A cost by method.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MethodCost {
    /// What these methods cost.
    pub methods: Vec<(Method, u64)>,
    /// What all others cost.
    pub default: u64,
}

/// For whom a rule is enforced. For everybody else it only watches.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Enforcement {
    /// For everybody.
    #[default]
    Everybody,
    /// For nobody: shadow mode.
    Nobody,
    /// For this share of all identities, 1 to 99 percent; always for the same ones.
    Percent(u8),
}

/// Which requests count.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum CountedResponses {
    /// All.
    #[default]
    All,
    /// Those whose response is not a success.
    Failures,
}
