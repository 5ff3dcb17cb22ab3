//! Running the whole suite.

use std::fmt;

use super::scenarios::{self, Scenario};
use super::subject::{Profile, Subject};

/// What the suite found.
#[derive(Clone, Debug, Default)]
#[must_use = "a report says whether the store keeps the contract"]
pub struct Report {
    /// The names of the scenarios that passed.
    pub passed: Vec<&'static str>,
    /// What went wrong.
    pub failures: Vec<Failure>,
}

/// A scenario that a store did not survive.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The name of the scenario.
    pub scenario: &'static str,
    /// The line of the contract that was broken.
    pub promise: &'static str,
    /// What was seen.
    pub message: String,
}

impl Report {
    /// Whether every scenario passed.
    pub const fn is_success(&self) -> bool {
        self.failures.is_empty()
    }

    fn note(&mut self, scenario: &'static Scenario, result: Result<(), Failure>) {
        match result {
            Ok(()) => self.passed.push(scenario.name),
            Err(failure) => self.failures.push(failure),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, promise, message } = self;
        write!(f, "{scenario}\n  promised: {promise}\n  seen: {message}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, failed) = (self.passed.len(), self.failures.len());
        write!(f, "{passed} scenarios passed, {failed} failed")?;
        self.failures.iter().try_for_each(|failure| write!(f, "\n\n{failure}"))
    }
}

/// Runs every scenario against the stores that `subject` makes.
///
/// # Example: which scenarios does a broken store fail?
///
/// ```
/// use rate_limit_core::ManualClock;
/// use rate_limit_core::conformance::{self, Profile, doubles::FailingRepository};
/// use rate_limit_core::RepositoryErrorKind::Unavailable;
///
/// let report = conformance::run(Profile::Atomic, |_: ManualClock| {
///     FailingRepository::always(Unavailable)
/// });
/// assert!(!report.is_success());
/// ```
pub fn run(profile: Profile, subject: impl Subject) -> Report {
    let mut report = Report::default();
    for scenario in scenarios::all() {
        report.note(scenario, scenario.run(profile, &subject));
    }
    report
}

/// Runs every scenario against the stores that `subject` makes, for use in a test.
///
/// # Panics
///
/// With a list of everything that went wrong, if anything did.
#[allow(clippy::panic, reason = "this is how a test fails")]
pub fn check(profile: Profile, subject: impl Subject) {
    let report = run(profile, subject);
    if !report.is_success() {
        panic!("{report}");
    }
}
