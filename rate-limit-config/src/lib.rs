#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod clock;
mod configuration;
mod document;
mod enforced_share;
mod environment;
mod explain;
#[cfg(feature = "jwt")]
mod jwt;
mod layer;
mod posted;
mod problem;
mod read;
mod reload;
mod schema;
mod secret;
mod source;
mod telemetry;
mod tree;
mod validate;
mod verified_client;
mod words;

pub use configuration::{
    AccessEntry, BreakerSettings, Configuration, Cost, CountedResponses, Enforcement, HeaderCost,
    IdentitySettings, JwksFile, JwtAlgorithm, JwtKey, JwtKeyMaterial, JwtSettings, KeyPart,
    MemoryPages, MethodCost, OnMissing, PathMatch, ResponseSettings, RuleSettings, StoreKind,
    StoreSettings, StoreUrl, VerifiedBy,
};
pub use environment::Environment;
#[cfg(feature = "jwt")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
pub use jwt::JwtError;
pub use layer::{
    Applied, ApplyError, Configured, ConfiguredLayer, ConfiguredLayerBuilder, SharedStore,
};
pub use problem::{ConfigurationError, Location, Problem, Severity};
pub use reload::{ReloadError, ReloadStatus, Reloader};
#[cfg(feature = "watch")]
#[cfg_attr(docsrs, doc(cfg(feature = "watch")))]
pub use reload::{Watch, WatchError};
pub use secret::Secret;
pub use verified_client::VerifiedClient;
