//! What a rules file says, after everything in it was found to work.

use std::collections::BTreeSet;

mod access;
mod identity;
mod jwt;
mod responses;
mod rule;
mod store;

pub use access::AccessEntry;
pub use identity::{IdentitySettings, KeyPart, OnMissing};
pub use jwt::{JwksFile, JwtAlgorithm, JwtKey, JwtKeyMaterial, JwtSettings};
pub use responses::ResponseSettings;
pub use rule::{
    Cost, CountedResponses, Enforcement, HeaderCost, MethodCost, PathMatch, RuleSettings,
};
pub use store::{BreakerSettings, StoreKind, StoreSettings, StoreUrl};

/// What a rules file says. Every value in it can work, and it never changes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Configuration {
    /// Where the counters are kept.
    pub store: StoreSettings,
    /// How clients are told apart.
    pub identity: IdentitySettings,
    /// The rules, in the order of the file.
    pub rules: Vec<RuleSettings>,
    /// The names of all tiers. What a tier changes stands with each [rule](RuleSettings::tiers).
    pub tiers: BTreeSet<String>,
    /// Who passes without being counted. Exempt beats block.
    pub exempt: Vec<AccessEntry>,
    /// Who does not pass.
    pub block: Vec<AccessEntry>,
    /// What clients are told.
    pub responses: ResponseSettings,
}
