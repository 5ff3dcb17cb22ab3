//! The shape of a rules file: its sections, their keys, and what each holds.
//!
//! What stands above a key here is also what an editor shows for it, through the JSON schema. What
//! several keys mean together is looked at in `validate`.

mod access;
mod duration;
mod identity;
mod key;
mod limit;
mod names;
mod network;
mod reference;
mod responses;
mod rule;
mod store;

pub(crate) use access::AccessSection;
pub(crate) use duration::Period;
pub(crate) use identity::{IdentitySection, JwtKeySection, JwtSection};
pub(crate) use limit::{AlgorithmWord, LimitSection, LimitValue};
pub(crate) use names::{MethodName, Name};
pub(crate) use reference::Reference;
pub(crate) use responses::ResponsesSection;
pub(crate) use rule::{CostSection, CostValue, ModeWord, PenaltySection, RuleSection};
pub(crate) use store::{BreakerSection, StoreSection};

use crate::read::{Entries, Map, section};

section! {
    /// Rules for rate limiting: who may do what how often.
    pub(crate) struct Document {
        /// Where the counters are kept. In this process by default.
        store: StoreSection,
        /// How clients are told apart. By the address of their connection by default.
        identity: IdentitySection,
        /// The rules: which requests, whose buckets, which limits.
        rule: Entries<RuleSection>,
        /// For each tier, the limits that replace those of rules, by the names of the rules.
        tiers: Map<Map<limit::Limits>>,
        /// Who passes without being counted, also if blocked.
        exempt: Entries<AccessSection>,
        /// Who is turned away with status 403.
        block: Entries<AccessSection>,
        /// What clients are told.
        responses: ResponsesSection,
    }
}

/// Where a key belongs that somebody has put elsewhere.
pub(crate) fn elsewhere(key: &str) -> Option<&'static str> {
    match key {
        "alignment" | "algorithm" | "burst" | "window" => Some(
            "the table form of a limit, such as `{ limit = 100, window = \"1m\", burst = 20 }`",
        ),
        "after" | "ban" | "decay" | "within" => Some("`[rule.penalty]`"),
        "audience" | "issuer" | "jwks_file" | "leeway" => Some("`[identity.jwt]`"),
        "forwarding_header" | "trusted_hops" | "trusted_proxies" | "verified_by" => {
            Some("`[identity]`")
        }
        _ => None,
    }
}
