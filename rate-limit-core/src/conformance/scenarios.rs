//! The scenarios: one file per chapter of the contract.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::report::Failure;
use super::subject::{Profile, Subject};
use super::trial::{Checked, Trial};

mod administration;
mod algorithms;
mod bounds;
mod contention;
mod cost;
mod denial;
mod documents;
mod extremes;
mod keys;
mod ladder;
mod ladder_limits;
mod random;
mod rates;
mod settle;
mod settle_kinds;
mod several;
mod shadow;
mod time;
mod told;
mod versions;

const SECOND: u64 = 1_000_000_000;

/// Something that a store is put through.
#[derive(Debug)]
pub struct Scenario {
    /// A name of the form `chapter.what_holds`.
    pub name: &'static str,
    /// The line of the contract that it tests.
    pub promise: &'static str,
    body: fn(&Trial<'_>) -> Checked,
}

/// The chapters, in the order in which they are best read and repaired.
const CHAPTERS: &[&[Scenario]] = &[
    cost::SCENARIOS,
    denial::SCENARIOS,
    bounds::SCENARIOS,
    told::SCENARIOS,
    rates::SCENARIOS,
    extremes::SCENARIOS,
    several::SCENARIOS,
    shadow::SCENARIOS,
    time::SCENARIOS,
    ladder::SCENARIOS,
    ladder_limits::SCENARIOS,
    settle::SCENARIOS,
    settle_kinds::SCENARIOS,
    versions::SCENARIOS,
    keys::SCENARIOS,
    contention::SCENARIOS,
    administration::SCENARIOS,
    documents::SCENARIOS,
    random::SCENARIOS,
];

/// All scenarios.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    CHAPTERS.iter().copied().flatten()
}

/// The scenario of that name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    all().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// Runs the scenario on fresh stores. A panic counts as a failure.
    ///
    /// # Errors
    ///
    /// What was seen instead of what was promised.
    pub fn run(&self, profile: Profile, subject: &dyn Subject) -> Result<(), Failure> {
        let trial = Trial { profile, subject };
        // Nothing is used after a panic but its message.
        let message = match catch_unwind(AssertUnwindSafe(|| (self.body)(&trial))) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(mismatch)) => mismatch.0,
            Err(panic) => format!("a panic: {}", panic_text(&*panic)),
        };
        Err(Failure { scenario: self.name, promise: self.promise, message })
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
