//! Shape and vocabulary of the source files.

use rate_limit_workspace_checks::sources::{self, MAX_LINES, VOCABULARIES};
use rate_limit_workspace_checks::workspace::{self, TextFile};

use crate::assert_none;

#[test]
fn every_source_file_is_short_documented_and_named_after_its_module() {
    let files = workspace::sources().unwrap();
    assert!(files.len() > 20, "the sources were found");
    assert_none(files.iter().flat_map(sources::shape_violations).collect());
}

#[test]
fn words_stay_where_they_belong() {
    let files = workspace::sources().unwrap();
    for vocabulary in &VOCABULARIES {
        let found = files.iter().flat_map(|file| sources::vocabulary_violations(file, vocabulary));
        assert_none(found.collect());
    }
}

#[test]
fn a_file_that_is_too_long_is_reported() {
    let code = format!("//! Docs.\n{}", "fn f() {}\n".repeat(MAX_LINES));
    let tests = format!("//! Docs.\n\n#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(MAX_LINES));
    assert_eq!(sources::shape_violations(&TextFile::new("a/src/b.rs", code)).len(), 1);
    assert_none(sources::shape_violations(&TextFile::new("a/src/b.rs", tests)));
}

#[test]
fn missing_docs_and_mod_rs_are_reported() {
    assert_eq!(sources::shape_violations(&TextFile::new("a/src/b.rs", "fn f() {}\n")).len(), 1);
    assert_eq!(sources::shape_violations(&TextFile::new("a/src/b/mod.rs", "//! D.\n")).len(), 1);
}

#[test]
fn a_clock_in_the_core_is_reported_unless_it_is_in_a_comment() {
    let [clocks, ..] = &VOCABULARIES;
    let found = |text: &str| {
        let file = TextFile::new("rate-limit-core/src/a.rs", text);
        sources::vocabulary_violations(&file, clocks).len()
    };
    assert_eq!(found("//! Docs.\nlet now = std::time::Instant::now();\n"), 1);
    assert_eq!(found("//! Not `Instant::now()`.\n/* Instant::now() /* nested */ */\n"), 0);
    assert_eq!(found("let url = \"http://example\"; let now = Instant::now();\n"), 1);
    assert_eq!(found("let quote = '\"'; // Instant::now()\n"), 0);
    assert_eq!(found("let raw = r#\"a \" // \"#; Instant::now();\n"), 1);
    assert_eq!(found("#[cfg(test)]\nmod tests {\n    Instant::now();\n}\n"), 0);
    assert_eq!(found("#[cfg(test)]\nmod tests {\n}\n\nfn f() {\n    Instant::now();\n}\n"), 1);
}

#[test]
fn a_header_field_outside_of_its_file_is_reported() {
    let [.., fields] = &VOCABULARIES;
    let found = |path: &str| {
        let file = TextFile::new(path, "const NAME: &str = \"X-RateLimit-Limit\";\n");
        sources::vocabulary_violations(&file, fields).len()
    };
    assert_eq!(found("rate-limit-tower/src/service.rs"), 1);
    assert_eq!(found("rate-limit-tower/src/headers.rs"), 0);
    assert_eq!(found("rate-limit-tower/src/headers/draft.rs"), 0);
    assert_eq!(found("rate-limit-tower/src/headers_too.rs"), 1);
    assert_eq!(found("rate-limit-tower/src/service/tests.rs"), 0);
}
