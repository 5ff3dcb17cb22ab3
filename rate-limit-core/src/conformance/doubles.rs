//! Stores for the tests of applications: one that fails, one that is slow, one that writes down.
//!
//! Combine them with [`SimpleRepository`](super::SimpleRepository) and
//! [`ManualClock`](crate::ManualClock), and nothing in a test has to sleep.

mod failing;
mod recording;
mod slow;

pub use failing::{Absent, FailingRepository};
pub use recording::RecordingRepository;
pub use slow::{Release, SlowRepository};
