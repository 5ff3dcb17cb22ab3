//! The one place where this crate reads the clock and waits for it: for deadlines and for the pauses
//! between attempts. Buckets live by the server's clock.

use std::time::{Duration, Instant};

/// The monotonic clock.
#[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits, in a task that nobody waits for.
#[allow(clippy::disallowed_methods, reason = "this is the place where the clock is waited for")]
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
