#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod configuration;
mod document;
mod environment;
mod explain;
mod problem;
mod read;
mod schema;
mod secret;
mod source;
mod tree;
mod validate;
mod words;

pub use configuration::{
    AccessEntry, BreakerSettings, Configuration, Cost, CountedResponses, Enforcement, HeaderCost,
    IdentitySettings, JwksFile, JwtAlgorithm, JwtKey, JwtKeyMaterial, JwtSettings, KeyPart,
    MethodCost, OnMissing, PathMatch, ResponseSettings, RuleSettings, StoreKind, StoreSettings,
    StoreUrl,
};
pub use environment::Environment;
pub use problem::{ConfigurationError, Location, Problem, Severity};
pub use secret::Secret;
