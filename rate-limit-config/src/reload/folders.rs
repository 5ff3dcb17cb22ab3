//! In which folders something changes when a file does, however it is exchanged.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As many symbolic links as Linux follows.
const MAX_LINKS: usize = 40;

/// The folder that holds the file, and those that hold a symbolic link on the way to it: exchanging
/// any of them exchanges the file. This is how orchestrators swap in a new version of a folder.
pub(super) fn folders(path: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // Ahead in reverse order, so that what a link leads to can be put in front.
    let mut ahead = reversed(&absolute);
    let mut here = PathBuf::new();
    let mut links = 0;
    while let Some(step) = ahead.pop() {
        let next = here.join(&step);
        match fs::read_link(&next) {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                folders.insert(here.clone());
                ahead.extend(reversed(&target));
            }
            _ if ahead.is_empty() => _ = folders.insert(here.clone()),
            _ if step == *".." => _ = here.pop(),
            // An absolute target begins anew, because joining it replaces what was there.
            _ => here = next,
        }
    }
    folders
}

fn reversed(path: &Path) -> Vec<std::ffi::OsString> {
    let steps = path.components().filter(|step| !matches!(step, Component::CurDir));
    steps.rev().map(|step| step.as_os_str().to_owned()).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder of its own, which is removed afterwards.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("rate-limit-config-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path.canonicalize().unwrap())
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_plain_file_changes_in_its_folder() {
        let scratch = Scratch::new("plain");
        fs::write(scratch.0.join("limits.toml"), "").unwrap();
        assert_eq!(folders(&scratch.0.join("limits.toml")), BTreeSet::from([scratch.0.clone()]));
        assert_eq!(folders(&scratch.0.join("absent.toml")), BTreeSet::from([scratch.0.clone()]));
    }

    /// The way Kubernetes mounts a ConfigMap.
    #[test]
    fn a_link_through_a_linked_folder_changes_in_all_of_them() {
        let scratch = Scratch::new("linked");
        let data = scratch.0.join("..2026_01");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("limits.toml"), "").unwrap();
        symlink("..2026_01", scratch.0.join("..data")).unwrap();
        symlink("..data/limits.toml", scratch.0.join("limits.toml")).unwrap();
        let found = folders(&scratch.0.join("limits.toml"));
        assert_eq!(found, BTreeSet::from([scratch.0.clone(), data]));
    }

    #[test]
    fn links_that_lead_in_a_circle_end() {
        let scratch = Scratch::new("circle");
        symlink("b", scratch.0.join("a")).unwrap();
        symlink("a", scratch.0.join("b")).unwrap();
        assert_eq!(folders(&scratch.0.join("a")), BTreeSet::from([scratch.0.clone()]));
    }

    #[test]
    fn an_absolute_link_begins_anew() {
        let scratch = Scratch::new("absolute");
        let other = Scratch::new("absolute-other");
        fs::write(other.0.join("limits.toml"), "").unwrap();
        symlink(other.0.join("limits.toml"), scratch.0.join("limits.toml")).unwrap();
        let found = folders(&scratch.0.join("limits.toml"));
        assert_eq!(found, BTreeSet::from([scratch.0.clone(), other.0.clone()]));
    }
}
