//! Rate limits for any tower service, as one layer.
//!
#![cfg_attr(feature = "memory", doc = include_str!("../README.md"))]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod address;
mod asking;
mod body;
mod builder;
mod by_name;
mod canonical_path;
mod decided;
mod decimal;
mod diagnosis;
mod double_counting;
mod error;
mod exposure;
mod future;
mod grpc_web;
mod handle;
mod headers;
mod host;
mod into_policy;
mod jitter;
mod key;
mod layer;
mod matched_path;
#[cfg(feature = "memory")]
mod memory;
mod peer;
mod policies;
mod quota;
#[cfg(feature = "redis")]
mod redis;
mod rejection;
mod request_view;
mod response_view;
mod rule;
mod rules;
mod sampler;
mod service;
mod settlement;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store_health;
#[cfg(any(feature = "metrics", feature = "tracing"))]
mod telemetry;
#[cfg(not(any(feature = "metrics", feature = "tracing")))]
#[path = "telemetry/off.rs"]
mod telemetry;
mod text;
mod time_of_day;
#[cfg(feature = "tonic")]
mod tonic;

pub use address::{
    ClientAddress, ClientAddressError, ForwardingHeader, TrustedProxies, parse_network,
};
pub use async_trait::async_trait;
pub use body::RateLimitBody;
pub use builder::RateLimitLayerBuilder;
pub use by_name::{NamedAnswer, Question, UnknownRule};
pub use canonical_path::canonical_path;
pub use error::LayerError;
pub use exposure::Exposure;
pub use future::ResponseFuture;
pub use handle::RateLimitHandle;
pub use headers::{DraftFields, EXPOSED_HEADERS, HeaderFields, ResetFormat};
pub use into_policy::IntoPolicy;
pub use jitter::RetryJitter;
pub use key::{BoxError, IdentityLookup, Key};
pub use layer::RateLimitLayer;
pub use peer::PeerAddress;
pub use policies::Policies;
pub use rejection::{Rejection, RejectionReason};
pub use request_view::{RequestHead, RequestView};
pub use response_view::ResponseView;
pub use rule::{MissingIdentity, Preflight, Rule};
pub use service::RateLimit;
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use telemetry::ClientId;

pub use rate_limit_core::{
    AccessLists, Algorithm, ApiKeyDigest, ClientIdentity, Clock, Decision, EnforceError,
    FailureMode, IdentityError, IpPrefixes, Mode, Network, Outcome, PenaltyLadder, PolicyError,
    PolicyName, PolicyOutcome, PolicyVerdict, RateLimitPolicy, RateLimitPolicyBuilder,
    RateLimitRepository, Timestamp, Verdict, Wait,
};

#[cfg(feature = "memory")]
pub use rate_limit_memory::MemoryRepository;
#[cfg(feature = "redis")]
pub use rate_limit_redis::{RedisBuildError, RedisRepository};
#[cfg(feature = "sqlite")]
pub use rate_limit_sqlite::{SqliteError, SqliteRepository};
