//! What every published package has.

use rate_limit_workspace_checks::packages;
use rate_limit_workspace_checks::workspace::{self, LIBRARIES};

use crate::assert_none;

#[test]
fn every_library_can_be_published() {
    let metadata = workspace::metadata().unwrap();
    assert_eq!(workspace::libraries(&metadata).count(), LIBRARIES.len());
    let mut violations = Vec::new();
    for library in workspace::libraries(&metadata) {
        let folder = workspace::root().join(library.name.as_str());
        violations.extend(packages::violations(library, |file| folder.join(file).is_file()));
    }
    assert_none(violations);
}

#[test]
fn everything_else_is_never_published() {
    let metadata = workspace::metadata().unwrap();
    for package in &metadata.packages {
        let published = LIBRARIES.contains(&package.name.as_str());
        let forbidden = package.publish.as_ref().is_some_and(Vec::is_empty);
        assert_eq!(published, !forbidden, "{}: `publish = false`?", package.name);
    }
}

#[test]
fn a_missing_changelog_is_reported() {
    let metadata = workspace::metadata().unwrap();
    let library = workspace::libraries(&metadata).next().unwrap();
    let reported = packages::violations(library, |file| file != "CHANGELOG.md");
    assert!(reported.iter().any(|one| one.ends_with("has no CHANGELOG.md")), "{reported:?}");
}

#[test]
fn a_clippy_toml_of_ones_own_repeats_the_shared_bans() {
    let shared = workspace::file("clippy.toml").unwrap();
    for library in LIBRARIES {
        if let Ok(own) = workspace::file(&format!("{library}/clippy.toml")) {
            assert_none(packages::forgotten_bans(&shared.text, &own.text));
        }
    }
}

#[test]
fn a_forgotten_ban_is_reported() {
    let shared = "disallowed-methods = [\n    { path = \"a\" },\n    { path = \"b\" },\n]\n";
    let own = "disallowed-methods = [\n    { path = \"b\" },\n]\n";
    let reported = packages::forgotten_bans(shared, own);
    assert!(matches!(reported.as_slice(), [one] if one.contains("\"a\"")), "{reported:?}");
}
