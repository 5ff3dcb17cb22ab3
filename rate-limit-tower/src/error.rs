//! What can be wrong with a layer.

use rate_limit_core::{EnforceError, PolicyError};
use thiserror::Error;

/// Why a layer cannot be built. Every variant carries the refused value.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum LayerError {
    /// Two rules match the same requests.
    #[error(
        "rules `{first}` and `{second}` both match {requests}; expected different methods or paths, \
         or different groups if both shall apply"
    )]
    AmbiguousRules {
        /// The rule that came first.
        first: String,
        /// The other one.
        second: String,
        /// What both match, such as `GET /users/{id}`.
        requests: String,
    },
    /// Two policies would charge the same key under the same name.
    #[error(
        "two {key} policies are named `{policy}`; expected different names, such as \
         `.named(\"{policy}-2\")`"
    )]
    DuplicatePolicy {
        /// The name.
        policy: String,
        /// Whose buckets both charge: how their key is called, such as `per IP`, `global` or
        /// `` per `x-tenant` ``.
        key: String,
    },
    /// Two rules have the same name.
    #[error("two rules are named `{rule}`; expected different names")]
    DuplicateRule {
        /// The name.
        rule: String,
    },
    /// The use case refuses how it was put together.
    #[error(transparent)]
    Enforce(#[from] EnforceError),
    /// What should name a header field cannot.
    #[error(
        "rule `{rule}`: `{name}` cannot name a header field; expected letters, digits and dashes"
    )]
    HeaderName {
        /// The rule.
        rule: String,
        /// The refused name.
        name: String,
    },
    /// What should name a host cannot.
    #[error(
        "rule `{rule}`: `{host}` cannot name a host; expected a name such as `api.example.com`, an \
         address, or `*.example.com` for every host below `example.com`, without a port"
    )]
    Host {
        /// The rule.
        rule: String,
        /// The refused host.
        host: String,
    },
    /// The jitter is out of range.
    #[error("a jitter of {percent} percent is out of range; expected 0 to {max}")]
    Jitter {
        /// The refused jitter.
        percent: u8,
        /// The largest accepted one.
        max: u8,
    },
    /// There is nothing to enforce.
    #[error("the layer has no policy; expected at least one, such as `.per_ip(..)`")]
    NoPolicy,
    /// A pattern of a rule cannot work.
    #[error("rule `{rule}`: path `{pattern}` cannot work: {reason}; expected {expected}")]
    Path {
        /// The rule.
        rule: String,
        /// The refused pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
        /// What would have been accepted.
        expected: String,
    },
    /// A policy cannot work.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The name of a rule cannot be used.
    #[error(
        "rule name {name:?} cannot be used; expected 1 to 64 of the characters A-Z a-z 0-9 _ - . :"
    )]
    RuleName {
        /// The refused name.
        name: String,
    },
    /// A rule has neither policies nor anything that chooses some, and blocks nobody.
    #[error(
        "rule `{rule}` limits nothing; expected `.policy(..)`, `.policies_from(..)` or `.block(..)`"
    )]
    RuleWithoutPolicy {
        /// The rule.
        rule: String,
    },
    /// No request can match a rule.
    #[error("rule `{rule}` can never match because {reason}; expected {expected}")]
    UnreachableRule {
        /// The rule.
        rule: String,
        /// Why not.
        reason: String,
        /// What would have been accepted.
        expected: String,
    },
}
