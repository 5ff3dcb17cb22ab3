//! Where the repository is and what lies in it.

use std::io;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The published libraries, in the order in which they depend on each other.
pub const LIBRARIES: [&str; 7] = [
    "rate-limit-core",
    "rate-limit-memory",
    "rate-limit-redis",
    "rate-limit-sqlite",
    "rate-limit-tower",
    "rate-limit-config",
    "rate-limit-server",
];

/// The root of the repository.
pub fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// What Cargo says of the members. It needs no network, since nothing is resolved.
///
/// # Errors
///
/// If a manifest cannot be read.
pub fn metadata() -> Result<Metadata, cargo_metadata::Error> {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec()
}

/// The published libraries among the members.
pub fn libraries(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    metadata.packages.iter().filter(|package| LIBRARIES.contains(&package.name.as_str()))
}

/// A text file of the repository.
#[derive(Clone, Debug)]
pub struct TextFile {
    /// The path from the root, with `/` on every system.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl TextFile {
    /// A file that need not exist.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// All files below `folder` (a path from the root) whose names end in `suffix`, sorted by path. A
/// folder that does not exist holds none.
///
/// # Errors
///
/// If a file cannot be read.
pub fn files(folder: &str, suffix: &str) -> io::Result<Vec<TextFile>> {
    let mut found = Vec::new();
    let start = root().join(folder);
    if start.is_dir() {
        collect(&start, suffix, &mut found)?;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// One file of the repository.
///
/// # Errors
///
/// If it cannot be read.
pub fn file(path: &str) -> io::Result<TextFile> {
    Ok(TextFile::new(path, std::fs::read_to_string(root().join(path))?))
}

/// The members that are never published.
pub const OTHERS: [&str; 4] = ["examples", "benches", "redis-testbed", "workspace-checks"];

/// The Rust files of the `src` folders of all members.
///
/// # Errors
///
/// If a file cannot be read.
pub fn sources() -> io::Result<Vec<TextFile>> {
    let mut sources = Vec::new();
    for member in LIBRARIES.iter().chain(&OTHERS) {
        sources.extend(files(&format!("{member}/src"), ".rs")?);
    }
    Ok(sources)
}

/// The Markdown files that people read: those of the root, of `docs/` and of every member.
///
/// # Errors
///
/// If a file cannot be read.
pub fn markdown() -> io::Result<Vec<TextFile>> {
    let mut documents = Vec::new();
    let mut folders = vec![root()];
    for entry in std::fs::read_dir(root())? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() || path.ends_with("docs") {
            folders.push(path);
        }
    }
    for folder in folders {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(read(&path)?);
            }
        }
    }
    documents.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(documents)
}

fn collect(folder: &Path, suffix: &str, found: &mut Vec<TextFile>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, suffix, found)?;
        } else if path.to_string_lossy().ends_with(suffix) {
            found.push(read(&path)?);
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<TextFile> {
    let text = std::fs::read_to_string(path)?;
    let path = path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/");
    Ok(TextFile { path, text })
}
