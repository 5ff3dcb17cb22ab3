//! Stores that are wrong on purpose, each with the scenario that has to notice.
//!
//! A suite that has never failed proves nothing. Every store here makes one mistake that has been
//! made before, in a limiter that was believed to work; the tests of this crate run the named
//! scenario against it and insist that it fails. Use them to check a test of your own: it should
//! fail with the store whose mistake it is about.

use std::fmt;

use super::subject::Subject;
use crate::document::DocumentRepository;
use crate::manual_clock::ManualClock;
use crate::repository::RateLimitRepository;

mod careless;
mod documents;
mod keeping;
mod mistake;
mod settling;

use careless::CarelessRepository;
use documents::CarelessDocuments;
use mistake::Mistake;

/// A store with one mistake. Makes fresh stores of its kind, like any [`Subject`].
pub struct Broken {
    /// What it does wrong.
    pub mistake: &'static str,
    /// The name of a scenario that notices.
    pub caught_by: &'static str,
    kind: Mistake,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broken({})", self.mistake)
    }
}

impl Subject for Broken {
    fn fresh(&self, clock: ManualClock) -> Box<dyn RateLimitRepository> {
        Box::new(CarelessRepository::new(clock, self.kind))
    }

    fn fresh_documents(&self, _clock: ManualClock) -> Option<Box<dyn DocumentRepository>> {
        Some(Box::new(CarelessDocuments::new(self.kind)))
    }
}

/// All broken stores.
///
/// # Example: the suite notices each
///
/// ```
/// use rate_limit_core::conformance::{Profile, broken, scenarios};
///
/// for store in broken::all().iter().take(3) {
///     let scenario = scenarios::named(store.caught_by).expect("a scenario of that name");
///     assert!(scenario.run(Profile::Atomic, store).is_err(), "{store:?}");
/// }
/// ```
pub const fn all() -> &'static [Broken] {
    mistake::TABLE
}

/// The same store without any mistake, to show that the mistakes are what is noticed.
pub fn flawless(clock: ManualClock) -> impl RateLimitRepository {
    CarelessRepository::new(clock, Mistake::None)
}
