//! The memory of recent denials, on clocks that tests move.
//!
//! - `answers`: what is answered from memory, what is asked, and what is told (promise 7)
//! - `renewal`: one request asks for all when a second is over
//! - `differential`: random requests beside the same store without a memory (promise G2), and caches
//!   that are wrong on purpose, each of which is noticed
//! - `conformance`: the contract of every store, through the memory

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod answers;
mod conformance;
mod differential;
mod renewal;
mod support;
