//! Real servers on bad days, seen by whoever asks for a decision: the use case with its fallback,
//! and where it says so an axum application behind the layer.
//!
//! - `outage`: a crash and a hang under load, and a restart without data (R01, R02, R05, G13)
//! - `http`: what clients are told meanwhile, and clients who go away (R27, R17)
//! - `nodes`: four processes, in and out of an outage (R25, G7; C04 with a restart)
//! - `clock`: a server whose clock is set (R15, G10)
//! - `failover`: Sentinels and a cluster replace a master (S01, X07, G9)
//! - `hot_key`: what an attack on one key costs the server (promise 7)
//!
//! What holds on any machine is asserted: bounds over all intervals, who decided, that service
//! resumes. How long things took is printed.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod bounds;
mod clock;
mod failover;
mod hot_key;
mod http;
mod nodes;
mod outage;
mod support;
