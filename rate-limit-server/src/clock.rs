//! The one place where the server reads a clock and waits for one.

use std::time::Duration;

use rate_limit_core::{Clock, Timestamp};
use rate_limit_memory::SystemClock;

/// The time of day, in milliseconds since the Unix epoch.
pub(crate) fn unix_millis() -> u64 {
    unix_now().as_nanos() / 1_000_000
}

/// The time of day.
pub(crate) fn unix_now() -> Timestamp {
    SystemClock::new().utc_now()
}

/// The time of day as text (RFC 3339), for people.
pub(crate) fn rfc3339() -> String {
    let since = Duration::from_millis(unix_millis());
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since).to_string()
}

/// A point in time to measure waits from.
pub(crate) fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Waits.
pub(crate) async fn wait(time: Duration) {
    sleep(time).await;
}

/// A wait that can be given up and looked at.
#[allow(clippy::disallowed_methods, reason = "this is the place where the server waits")]
pub(crate) fn sleep(time: Duration) -> tokio::time::Sleep {
    tokio::time::sleep(time)
}
