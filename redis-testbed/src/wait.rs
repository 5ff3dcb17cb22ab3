//! Waiting for a condition, never for time to pass.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::TestbedError;

/// Asks `condition` again and again until it holds.
///
/// The deadline exists so that a test fails instead of hanging; it is no measure of speed.
///
/// # Errors
///
/// With `what` if the condition does not hold within `deadline`.
pub fn until(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> bool,
) -> Result<(), TestbedError> {
    until_some(what, deadline, || condition().then_some(()))
}

/// Asks again and again until there is an answer.
///
/// # Errors
///
/// With `what` if there is none within `deadline`.
pub fn until_some<T>(
    what: &str,
    deadline: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> Result<T, TestbedError> {
    let started = now();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if started.elapsed() >= deadline {
            return Err(TestbedError::TooLate { what: what.to_owned(), after: deadline });
        }
        // Leaves the processor to the server that is being asked.
        thread::park_timeout(Duration::from_millis(1));
    }
}

#[allow(clippy::disallowed_methods, reason = "a deadline on real processes is real time")]
fn now() -> Instant {
    Instant::now()
}
