//! Proves that a store keeps the contract of [`RateLimitRepository`](crate::RateLimitRepository).
//!
//! The author of a store says how to make a fresh one on a given clock; the suite does the rest:
//! named scenarios for every line of the contract, contention between real threads, and long random
//! sequences compared field by field with an independent model in exact arithmetic. Nothing sleeps
//! and nothing reads a real clock.
//!
//! # Example: testing a store in three lines
//!
//! ```
//! use rate_limit_core::ManualClock;
//! use rate_limit_core::conformance::{self, Profile, SimpleRepository};
//!
//! // #[test]
//! fn keeps_the_contract() {
//!     conformance::check(Profile::Atomic, |clock: ManualClock| SimpleRepository::new(clock));
//! }
//! # // Run by the tests of this crate; here it is enough that it compiles.
//! ```
//!
//! # Example: a store that needs a runtime
//!
//! The suite calls the store from plain threads and waits for its answers with [`block_on`]. If the
//! futures of a store only work inside a runtime, let its test wrap the store in one that spawns
//! each call there and answers with the handle: such a handle can be awaited anywhere.
//!
//! # Beyond passing and failing
//!
//! [`run`] returns a [`Report`] instead of panicking. [`random_steps`] runs as many random steps as
//! wanted from a seed. [`scenarios`] are public, so that a test can run one by its name, and
//! [`broken`] holds stores that are wrong on purpose, each with the scenario that has to notice:
//! the proof that the suite can fail. [`doubles`] helps to test applications: stores that fail, that
//! are slow, that write down what they were asked.
//!
//! # Stability
//!
//! What this module tests follows the contract; its items may change in any release.

pub mod broken;
pub mod doubles;
mod executor;
mod model;
mod random;
mod report;
pub mod scenarios;
mod simple;
mod subject;
mod trial;

pub use executor::block_on;
pub use model::ModelRepository;
pub use random::{Divergence, RandomRun, random_steps};
pub use report::{Failure, Report, check, run};
pub use scenarios::Scenario;
pub use simple::SimpleRepository;
pub use subject::{AdministeredRepository, Profile, Subject, WithAdministration, WithDocuments};
