//! What clients are told.

use rate_limit_tower::{Exposure, HeaderFields};

/// The section `responses`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ResponseSettings {
    /// Which fields responses carry.
    pub header_fields: HeaderFields,
    /// How much clients are told, where a rule says nothing else.
    pub expose: Exposure,
    /// What the types of problem documents begin with.
    pub problem_type_base: Option<String>,
    /// Where clients can read about their limits, where a rule says nothing else.
    pub documentation_url: Option<String>,
    /// By how many percent at most waits are told longer than they are, 0 to 10.
    pub retry_jitter_percent: u8,
}
