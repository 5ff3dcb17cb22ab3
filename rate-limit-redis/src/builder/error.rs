//! What can be wrong with the options of a store.

use std::time::Duration;

use thiserror::Error;

use crate::key::KeyError;
use crate::url::RedisUrlError;

/// Why a store cannot be built. No text contains a secret.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RedisBuildError {
    /// The URL does not say where Redis is.
    #[error(transparent)]
    Url(#[from] RedisUrlError),
    /// Keys cannot be made as asked.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A duration is out of range.
    #[error("{option} = {found:?} is out of range; expected {min:?} to {max:?}")]
    Duration {
        /// Which option.
        option: &'static str,
        /// The refused value.
        found: Duration,
        /// The shortest accepted one.
        min: Duration,
        /// The longest accepted one.
        max: Duration,
    },
    /// A number is out of range.
    #[error("{option} = {found} is out of range; expected {min} to {max}")]
    Number {
        /// Which option.
        option: &'static str,
        /// The refused value.
        found: usize,
        /// The least accepted one.
        min: usize,
        /// The greatest accepted one.
        max: usize,
    },
    /// There is no runtime that could make connections.
    #[error(
        "there is no tokio runtime here; expected `build` and `connect` to be called inside of \
         one, such as in a function under #[tokio::main]"
    )]
    NoRuntime,
    /// The URL wants encryption, and the feature is off.
    #[error(
        "the Redis URL asks for encryption; expected the feature `tls` of rate-limit-redis to be \
         on"
    )]
    NoTls,
    /// There are options for encryption, and the URL does not want any.
    #[error(
        "options for TLS are given, and the Redis URL does not encrypt; expected rediss://, \
         rediss+sentinel:// or rediss+cluster://"
    )]
    TlsWithoutEncryption,
    /// The options for encryption are not usable.
    #[error("TLS is not usable: {detail}")]
    Tls {
        /// What is wrong.
        detail: String,
    },
}
