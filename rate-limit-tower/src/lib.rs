//! Rate limits for any tower service, as one layer.
//!
#![cfg_attr(feature = "memory", doc = include_str!("../README.md"))]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod body;
mod builder;
mod decided;
mod diagnosis;
mod future;
mod headers;
mod into_policy;
mod layer;
#[cfg(feature = "memory")]
mod memory;
mod peer;
mod quota;
mod rejection;
mod rules;
mod service;
mod time_of_day;

pub use body::RateLimitBody;
pub use builder::{LayerError, RateLimitLayerBuilder};
pub use future::ResponseFuture;
pub use into_policy::IntoPolicy;
pub use layer::RateLimitLayer;
pub use peer::PeerAddress;
pub use service::RateLimit;

pub use rate_limit_core::{
    AccessLists, Algorithm, ClientIdentity, Clock, Decision, EnforceError, FailureMode,
    IdentityError, IpPrefixes, Mode, Network, Outcome, PenaltyLadder, PolicyError, PolicyName,
    PolicyOutcome, PolicyVerdict, RateLimitPolicy, RateLimitPolicyBuilder, RateLimitRepository,
    Timestamp, Verdict, Wait,
};

#[cfg(feature = "memory")]
pub use rate_limit_memory::MemoryRepository;
