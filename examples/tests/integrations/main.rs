//! The layer behind real programs. `scripts/test-integrations` runs these tests; `cargo test` only
//! compiles them, because they need what a plain laptop may not have.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// Whose buckets are charged behind one nginx, and behind two.
#[cfg(target_os = "linux")]
mod behind_nginx;
/// A running nginx.
#[cfg(target_os = "linux")]
mod nginx;
/// Clients.
#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "the other test binary uses the rest")]
#[path = "../it/support.rs"]
mod support;
