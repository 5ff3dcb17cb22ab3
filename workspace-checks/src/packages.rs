//! What every published package has.

use cargo_metadata::Package;

/// What `package` lacks, one sentence each. `has_file` tells whether its folder holds a file.
pub fn violations(package: &Package, has_file: impl Fn(&str) -> bool) -> Vec<String> {
    let docs_rs = package.metadata.pointer("/docs/rs");
    let requirements = [
        ("a description", package.description.is_some()),
        ("a license", package.license.is_some()),
        ("a repository", package.repository.is_some()),
        ("a rust-version", package.rust_version.is_some()),
        ("categories", !package.categories.is_empty()),
        ("keywords", !package.keywords.is_empty()),
        ("[package.metadata.docs.rs]", docs_rs.is_some()),
        ("a readme in its manifest", package.readme.is_some()),
        ("README.md", has_file("README.md")),
        ("CHANGELOG.md", has_file("CHANGELOG.md")),
    ];
    requirements
        .into_iter()
        .filter(|(_, met)| !met)
        .map(|(what, _)| format!("{} has no {}", package.name, what.trim_start_matches("a ")))
        .collect()
}

/// The entries of the shared `clippy.toml` that a crate's own file does not repeat.
pub fn forgotten_bans(shared: &str, own: &str) -> Vec<String> {
    fn settings(text: &str) -> impl Iterator<Item = &str> {
        text.lines()
            .map(str::trim)
            .filter(|line| line.starts_with("{ path") || line.contains("= true"))
    }
    settings(shared)
        .filter(|line| !settings(own).any(|other| other == *line))
        .map(|line| format!("the crate's own clippy.toml does not repeat `{line}`"))
        .collect()
}
