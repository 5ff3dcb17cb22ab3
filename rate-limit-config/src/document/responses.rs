//! The section `responses`.

use rate_limit_tower::{DraftFields, Exposure, ResetFormat};

use super::names::AbsoluteUrl;
use crate::read::{OneOf, Whole, choices, section};

section! {
    /// What clients are told.
    pub(crate) struct ResponsesSection {
        /// Whether responses carry the fields `X-RateLimit-*`. They do by default.
        legacy_headers: bool,
        /// Whether `X-RateLimit-Reset` is the second since the epoch, or seconds from now.
        reset: OneOf<ResetFormat>,
        /// Which revision of the IETF's draft the `RateLimit` fields follow: "06", "07", "08-11"
        /// (the default), or "none".
        draft_headers: OneOf<DraftFields>,
        /// How much clients are told: "minimal" by default.
        expose: OneOf<Exposure>,
        /// What the types of problem documents begin with, in place of the registry of the IANA.
        problem_type_base: AbsoluteUrl,
        /// Where clients can read about their limits.
        documentation_url: AbsoluteUrl,
        /// By how many percent at most waits are told longer than they are. 0 by default.
        retry_jitter_percent: Whole<0, 10>,
    }
}

choices! { ResetFormat:
    "epoch" => Self::EpochSeconds,
    "delta" => Self::DeltaSeconds,
}

choices! { DraftFields:
    "08-11" => Self::Revision08To11,
    "07" => Self::Revision07,
    "06" => Self::Revision06,
    "none" => Self::None,
}
