#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod adjustment;
mod administration;
mod algorithm;
mod charge;
#[cfg(feature = "conformance")]
pub mod conformance;
mod decision;
mod document;
mod enforce;
mod evaluate;
mod fixed_window;
mod identity;
mod inline;
mod manual_clock;
mod outcome;
mod packed;
mod penalty;
pub mod policy;
mod receipt;
mod repository;
mod sliding_log;
mod sliding_window;
mod time;
mod token_bucket;

pub use access::{Access, AccessLists, Network};
pub use adjustment::{Adjusted, Adjustment, Adjustments, Change, Settled};
pub use administration::{BucketId, ListedBucket, Page, RateLimitAdministration, Reset, Standing};
pub use algorithm::{Algorithm, BucketRule, BucketState, Healed, MAX_UNITS, Wait};
pub use charge::{Charge, Charges};
pub use decision::{Decision, Origin, PolicyOutcome, Verdict};
pub use document::{
    Document, DocumentName, DocumentNameError, DocumentRepository, DocumentState, DocumentVersion,
    Expected, Written,
};
pub use enforce::{
    Decide, EnforceError, EnforceRateLimit, EnforceRateLimitBuilder, Enforced, PendingDecision,
};
pub use evaluate::{Record, adjust, evaluate, evaluate_one, evaluate_packed, evaluate_packed_few};
pub use fixed_window::{Alignment, FixedWindow, FixedWindowState};
pub use identity::{ApiKeyDigest, ClientIdentity, IdentityError, IpPrefixes, canonical_address};
pub use manual_clock::ManualClock;
pub use outcome::{Outcome, Outcomes, PolicyVerdict};
pub use packed::PackedState;
pub use penalty::{LadderState, PenaltyLadder};
pub use policy::{
    FailureMode, Mode, PolicyError, PolicyName, RateLimitPolicy, RateLimitPolicyBuilder,
};
pub use receipt::Receipt;
pub use repository::{
    Acquire, Answer, PendingAnswer, RateLimitRepository, RepositoryError, RepositoryErrorKind,
    Settle,
};
pub use sliding_log::{LogEntry, SlidingLog, SlidingLogState};
pub use sliding_window::{SlidingWindow, SlidingWindowState};
pub use time::{Clock, Now, TimeAxis, Timestamp};
pub use token_bucket::{TokenBucket, TokenBucketState};
