//! The testbed itself: what it starts, stops and breaks, and that it leaves nothing behind.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod cluster;
mod network;
mod sentinel;
mod server;
mod tls;
