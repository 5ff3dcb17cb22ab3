//! The repository, checked; and the checks, checked with fabricated mistakes.

mod dependency_edges;
mod documents;
mod packages;
mod sources;

/// Fails with all violations at once, so that one run tells everything.
#[track_caller]
fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n  {}\n", violations.join("\n  "));
}
