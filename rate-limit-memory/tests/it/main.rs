//! The tests of the memory store, one module for each ring.
//!
//! - `conformance`: the contract, from the suite that every store runs
//! - `bounded`: the cap, and what goes when it is reached (cases M01, M02, M05, M07, promise G11)
//! - `clocks`: clocks that are set (promise G10)
//! - `conservation`: threads, evictions and changed policies at once (promise G1)
//! - `contention`: threads (case C02, promises G1 and G5)
//! - `held_up`: callers that stand still while time goes on (promise G2)
//! - `broken`: stores of this kind with a deliberate fault, and the test above that catches each
//! - `inputs`: what cannot work is refused

#![cfg(not(any(loom, shuttle)))]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod bounded;
mod broken;
mod clocks;
mod conformance;
mod conservation;
mod contention;
mod held_up;
mod inputs;
mod support;
