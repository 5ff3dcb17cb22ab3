//! The rules file: what is accepted, what it means, and what is said of everything else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod broken;
