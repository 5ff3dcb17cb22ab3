//! Broken files: each with the message that it gives, word by word.
//!
//! A file `tests/broken/NAME.toml` is named after the mistake, and by its case where it has one. It
//! may set variables in comments `# environment: NAME=VALUE`. What is said of it stands in
//! `NAME.expected`; run the tests with `BLESS=1` to write that down, and read what you have blessed.

use std::fs;
use std::path::{Path, PathBuf};

use rate_limit_config::{Configuration, Environment};

/// The corpus, sorted by name.
fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

/// What is said of a file, and the variables that it is read with.
fn said_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let variables = text.lines().filter_map(|line| line.strip_prefix("# environment: "));
    let environment =
        Environment::from_variables(variables.map(|line| line.split_once('=').unwrap()));
    let name = path.file_name().unwrap().to_string_lossy();
    match Configuration::from_toml(&name, &text, &environment) {
        Ok(_) => panic!("{name} is accepted"),
        Err(error) => format!("{error}\n"),
    }
}

#[test]
fn every_broken_file_is_refused_with_its_message() {
    let files = corpus();
    assert!(files.len() >= 40, "{} files", files.len());
    for case in ["f02", "f05", "f07", "k20"] {
        let is_case =
            |path: &&PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(case);
        assert!(files.iter().any(|path| is_case(&path)), "no file shows {case}");
    }
    let mut differences = Vec::new();
    for path in files {
        let (said, expected) = (said_of(&path), path.with_extension("expected"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        let written = fs::read_to_string(&expected).unwrap_or_default();
        if said != written {
            differences.push(format!("{}\nexpected:\n{written}\nsaid:\n{said}", path.display()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn f07_no_message_tells_a_secret() {
    let has_secrets = |path: &&PathBuf| fs::read_to_string(path).unwrap().contains("canary");
    let files = corpus();
    let with_secrets: Vec<&PathBuf> = files.iter().filter(has_secrets).collect();
    assert!(with_secrets.len() >= 3, "the corpus lost its secrets");
    for path in with_secrets {
        assert!(!said_of(path).contains("canary"), "{}", path.display());
    }
}

#[cfg(feature = "jwt")]
#[test]
fn a_key_that_verifies_nothing_is_refused_where_it_stands() {
    let text = r#"
[[rule]]
name = "api"
limit = "5/min"

[identity.jwt]
issuer = "https://login.example.com"
audience = "api"

[[identity.jwt.key]]
algorithm = "ES256"
public_key = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
"#;
    let error = super::read(text).unwrap_err().to_string();
    assert!(error.starts_with("limits.toml:12:14: identity.jwt.key[0].public_key: "), "{error}");
    assert!(
        error.ends_with("expected a public key in PEM on the curve of the algorithm"),
        "{error}"
    );
}
