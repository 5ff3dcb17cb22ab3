//! The tests of the Redis store against real servers, one module for each ring.
//!
//! - `conformance`: the contract, from the suite that every store runs

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod conformance;
mod support;
