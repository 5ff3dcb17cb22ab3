//! Checks of the repository itself, so that its rules do not depend on memory.
//!
//! Each check is a function from what it looks at to the violations it found, one sentence each.
//! The tests apply it to the repository, where the list has to be empty, and to a fabricated
//! mistake, where it must not be: a check that cannot fail checks nothing.
//!
//! | module | what it checks |
//! | --- | --- |
//! | [`edges`] | who may depend on whom |
//! | [`packages`] | what every published package has |
//! | [`sources`] | shape and vocabulary of the source files |
//! | [`documents`] | what the Markdown files refer to |
//!
//! The code blocks of `README.md` and of the guides in `docs/` are compiled and run as doctests of
//! this crate.

pub mod documents;
pub mod edges;
pub mod packages;
pub mod sources;
pub mod workspace;

/// The code blocks of `README.md`.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The code blocks of the page about the diagnosis RL001.
#[cfg(doctest)]
#[doc = include_str!("../../docs/RL001.md")]
pub struct Rl001;

/// The code blocks of the guide on testing.
#[cfg(doctest)]
#[doc = include_str!("../../docs/testing-with-the-manual-clock.md")]
pub struct TestingWithTheManualClock;

/// The code blocks of the contribution guide.
#[cfg(doctest)]
#[doc = include_str!("../../CONTRIBUTING.md")]
pub struct Contributing;

/// The code blocks of the map.
#[cfg(doctest)]
#[doc = include_str!("../../ARCHITECTURE.md")]
pub struct Architecture;
