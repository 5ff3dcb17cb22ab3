//! The tests of the Redis store against real servers, one module for each ring.
//!
//! - `adversity`: forgotten scripts, impatient callers, evictions (cases R03, R17, M09, X03)
//! - `coalescing`: how many calls decisions take that meet
//! - `conformance`: the contract, from the suite that every store runs
//! - `opening`: each form of a URL, and a server that is not there
//! - `permissions`: the two sets of rules that the README advises
//! - `values`: privacy, times to live, corrupt values (cases O02, R21)

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod adversity;
mod coalescing;
mod conformance;
mod opening;
mod permissions;
mod support;
mod values;
