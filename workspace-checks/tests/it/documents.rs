//! What the Markdown files refer to.

use rate_limit_workspace_checks::documents;
use rate_limit_workspace_checks::workspace::{self, TextFile};

use crate::assert_none;

const PROMISES: &str = "## What it promises";

#[test]
fn every_link_and_every_named_file_exists() {
    let exists = |path: &str| workspace::root().join(path).exists();
    let mut violations = Vec::new();
    for document in workspace::markdown().unwrap() {
        violations.extend(documents::broken_links(&document, exists));
        violations.extend(documents::missing_files(&document, exists));
    }
    assert_none(violations);
}

#[test]
fn the_code_blocks_of_every_guide_are_compiled() {
    let doctests = workspace::file("workspace-checks/src/lib.rs").unwrap().text;
    let guides = workspace::files("docs", ".md").unwrap();
    assert!(!guides.is_empty());
    for guide in guides {
        let included = format!("include_str!(\"../../{}\")", guide.path);
        assert!(doctests.contains(&included), "workspace-checks/src/lib.rs lacks {included}");
    }
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let readme = workspace::file("README.md").unwrap();
    let mut sources = Vec::new();
    for folder in workspace::LIBRARIES {
        sources.extend(workspace::files(folder, ".rs").unwrap());
    }
    assert_none(documents::missing_tests(&readme, PROMISES, &sources));
}

#[test]
fn no_readme_mentions_a_version_number() {
    let metadata = workspace::metadata().unwrap();
    let library = workspace::libraries(&metadata).next().unwrap();
    let own = library.version.to_string();
    let rust = library.rust_version.as_ref().unwrap().to_string();
    let rust_short = rust.trim_end_matches(".0").to_owned();
    for document in workspace::markdown().unwrap() {
        if document.path.ends_with("README.md") && !document.path.starts_with("benches/") {
            assert_none(documents::version_numbers(&document, &[&own, &rust, &rust_short]));
        }
    }
}

#[test]
fn mistakes_in_documents_are_reported() {
    let readme = TextFile::new(
        "docs/a.md",
        "See [this](../missing.md), [that](b.md#part) and `rate-limit-core/src/gone.rs`.\n\
         Needs v1.2.3 from 192.0.2.1.\n\n\
         ## What it promises\n\n\
         | promise | test |\n| --- | --- |\n| one | `real`, `bounds.known` |\n\
         | two | `dream` |\n| three | |\n\n\
         ```toml\nversion = \"1.2.3\"\n```\n",
    );
    let exists = |path: &str| path == "docs/b.md";
    assert_eq!(documents::broken_links(&readme, exists).len(), 1);
    assert_eq!(documents::missing_files(&readme, exists).len(), 1);
    assert_eq!(documents::version_numbers(&readme, &[]).len(), 1);
    let sources = [TextFile::new("a.rs", "fn real() {}\n(\"bounds.known\",")];
    let reported = documents::missing_tests(&readme, PROMISES, &sources);
    assert_eq!(reported.len(), 2, "{reported:?}");
    let empty = TextFile::new("README.md", "# Nothing");
    assert_eq!(documents::missing_tests(&empty, PROMISES, &sources).len(), 1);
}
