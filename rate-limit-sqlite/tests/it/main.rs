//! The tests of the store in a file, one module for each ring.
//!
//! - `bounded`: the cap, and what goes when it is reached
//! - `conformance`: the contract, from the suite that every store runs
//! - `killed`: a process that is killed under load, again and again
//! - `opening`: which files are opened, and which are refused with which words
//! - `time`: clocks that are set while a file is closed or open

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod bounded;
mod conformance;
mod killed;
mod opening;
mod support;
mod time;
