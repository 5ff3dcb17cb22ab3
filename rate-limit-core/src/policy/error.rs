//! What can be wrong with a policy.

use std::time::Duration;

use thiserror::Error;

/// Why a policy cannot work. Every variant carries the refused value.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PolicyError {
    /// A window that is not on the first request was asked of a length that does not divide a day.
    #[error(
        "policy `{policy}`: an aligned window of {window:?} is impossible; expected a length that \
         divides a day, such as 1s, 1m, 15m, 1h, 24h"
    )]
    AlignedWindow {
        /// The policy.
        policy: String,
        /// The refused length.
        window: Duration,
    },
    /// The burst is out of range.
    #[error("policy `{policy}`: burst {burst} is out of range; expected 1 to 4294967295")]
    Burst {
        /// The policy.
        policy: String,
        /// The refused burst.
        burst: u64,
    },
    /// A burst was given to an algorithm that has none.
    #[error(
        "policy `{policy}`: burst {burst} has no meaning for a window or a log, whose capacity is \
         the limit; expected no burst, or a token bucket"
    )]
    BurstWithoutTokenBucket {
        /// The policy.
        policy: String,
        /// The refused burst.
        burst: u64,
    },
    /// The limit is out of range.
    #[error("policy `{policy}`: limit {limit} is out of range; expected 1 to {max}")]
    Limit {
        /// The policy.
        policy: String,
        /// The refused limit.
        limit: u64,
        /// The largest limit of the chosen algorithm.
        max: u64,
    },
    /// The name cannot be used.
    #[error(
        "policy name {name:?} cannot be used; expected 1 to 64 of the characters A-Z a-z 0-9 _ - . :"
    )]
    Name {
        /// The refused name.
        name: String,
    },
    /// A parameter of the penalty ladder is out of range.
    #[error("policy `{policy}`: penalty {parameter} {value} cannot work; expected {expected}")]
    Penalty {
        /// The policy.
        policy: String,
        /// Which parameter.
        parameter: &'static str,
        /// The refused value.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// The rate is out of range.
    #[error(
        "policy `{policy}`: {limit} per {window:?} is out of range; expected a rate from 1 per 366 \
         days to 1000000 per second"
    )]
    Rate {
        /// The policy.
        policy: String,
        /// The limit.
        limit: u64,
        /// The window.
        window: Duration,
    },
    /// An empty bucket would take too long to become full.
    #[error(
        "policy `{policy}`: burst {burst} at {limit} per {window:?} would take longer than 100 \
         years to refill; expected a smaller burst or a higher rate"
    )]
    TimeToFull {
        /// The policy.
        policy: String,
        /// The burst.
        burst: u64,
        /// The limit.
        limit: u64,
        /// The window.
        window: Duration,
    },
    /// The window is out of range.
    #[error("policy `{policy}`: window {window:?} is out of range; expected 1µs to 366 days")]
    Window {
        /// The policy.
        policy: String,
        /// The refused window.
        window: Duration,
    },
}
