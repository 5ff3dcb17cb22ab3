//! The integration tests of the core, one binary for all.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail loudly, helpers included")]

mod algorithms;
mod doubles;
mod enforce;
mod outage;
mod packed;
mod suite;
mod support;
