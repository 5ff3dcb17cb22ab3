//! Files that change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use rate_limit_config::{Configuration, ConfiguredLayer, Environment, Reloader, Watch, WatchError};
use rate_limit_memory::MemoryRepository;

use crate::support::{Limited, Scratch, eventually, read};

fn text(limit: u64) -> String {
    format!("[[rule]]\nname = \"api\"\nlimit = \"{limit}/min\"\n")
}

fn watched(path: &Path) -> (Reloader, Watch) {
    let configuration = Configuration::from_file(path, &Environment::empty()).unwrap();
    let store = MemoryRepository::builder().build().unwrap();
    let layer = ConfiguredLayer::builder(store).without_fallback().build(configuration).unwrap();
    let reloader = Reloader::of_file(layer, path, Environment::empty());
    let watch = reloader.watch().unwrap();
    (reloader, watch)
}

fn limit(reloader: &Reloader) -> u64 {
    reloader.layer().configuration().rules[0].limits[0].limit()
}

#[test]
fn a_file_that_is_written_in_place() {
    let scratch = Scratch::new("in-place");
    let path = scratch.write("limits.toml", &text(100));
    let (reloader, _watch) = watched(&path);
    scratch.write("limits.toml", &text(200));
    eventually("the new limit", || limit(&reloader) == 200);
}

#[test]
fn a_file_that_is_renamed_over() {
    let scratch = Scratch::new("renamed");
    let path = scratch.write("limits.toml", &text(100));
    let (reloader, _watch) = watched(&path);
    for new in [200, 300] {
        fs::rename(scratch.write("limits.toml.new", &text(new)), &path).unwrap();
        eventually("the new limit", || limit(&reloader) == new);
    }
}

/// The way Kubernetes exchanges a ConfigMap: the link to the folder is renamed over.
#[test]
fn a_link_that_is_swapped_on_the_way_to_the_file() {
    let scratch = Scratch::new("swapped");
    let swap = |version: u64| {
        let folder = format!("..{version}");
        fs::create_dir(scratch.0.join(&folder)).unwrap();
        scratch.write(&format!("{folder}/limits.toml"), &text(version));
        symlink(&folder, scratch.0.join("..data_tmp")).unwrap();
        fs::rename(scratch.0.join("..data_tmp"), scratch.0.join("..data")).unwrap();
    };
    swap(100);
    let path = scratch.0.join("limits.toml");
    symlink("..data/limits.toml", &path).unwrap();
    let (reloader, _watch) = watched(&path);
    for new in [200, 300] {
        swap(new);
        eventually("the new limit", || limit(&reloader) == new);
    }
    // Afterwards, also what is written into the folder that was swapped in.
    scratch.write("..300/limits.toml", &text(400));
    eventually("the new limit", || limit(&reloader) == 400);
}

#[test]
fn what_changed_before_the_watch_began_is_not_missed() {
    let scratch = Scratch::new("before");
    let path = scratch.write("limits.toml", &text(100));
    let limited = Limited::by(&text(100));
    scratch.write("limits.toml", &text(200));
    let reloader = Reloader::of_file(limited.layer, &path, Environment::empty());
    let _watch = reloader.watch().unwrap();
    eventually("the new limit", || limit(&reloader) == 200);
}

/// F09: a thousand changes within a second are a handful of reloads, and the last one counts.
#[test]
fn f09_a_thousand_changes_are_a_handful_of_reloads() {
    let scratch = Scratch::new("f09");
    let path = scratch.write("limits.toml", &text(100));
    let (reloader, watch) = watched(&path);
    #[allow(clippy::disallowed_methods, reason = "how many reloads there may be depends on it")]
    let started = Instant::now();
    for n in 1..=1_000 {
        // Renamed over, so that no half of a file is ever read.
        fs::rename(scratch.write("limits.toml.new", &text(1_000 + n)), &path).unwrap();
    }
    eventually("the last limit", || limit(&reloader) == 2_000);
    // Each of the two names is told of once in 200 ms at most, and once more at the end.
    let possible = 2 * (started.elapsed().as_millis() / 200 + 1) + 1;
    drop(watch);
    let status = reloader.status();
    assert_eq!(status.refused, 0);
    assert!(u128::from(status.applied) <= possible, "{} reloads of {possible}", status.applied);
    println!("1000 changes in {:?}: {} reloads", started.elapsed(), status.applied);
}

#[test]
fn a_bad_file_is_refused_once_and_a_good_one_applies_again() {
    let scratch = Scratch::new("bad");
    let path = scratch.write("limits.toml", &text(100));
    let (reloader, _watch) = watched(&path);
    scratch.write("limits.toml", "nonsense");
    eventually("the refusal", || reloader.status().refused == 1);
    // Something else happens in the folder, which is no reason to read the file again.
    scratch.write("unrelated.txt", "x");
    scratch.write("limits.toml", &text(200));
    eventually("the new limit", || limit(&reloader) == 200);
    assert_eq!(reloader.status().refused, 1);
}

/// A file that was cut off, as a full disk leaves it, lifts no limit.
#[test]
fn an_empty_file_changes_nothing() {
    let scratch = Scratch::new("empty");
    let path = scratch.write("limits.toml", &text(100));
    let (reloader, _watch) = watched(&path);
    scratch.write("limits.toml", "");
    eventually("the refusal", || reloader.status().refused == 1);
    assert_eq!((limit(&reloader), reloader.layer().version()), (100, 1));
    fs::remove_file(&path).unwrap();
    eventually("the refusal", || reloader.status().refused == 2);
    assert_eq!(limit(&reloader), 100);
    scratch.write("limits.toml", &text(200));
    eventually("the new limit", || limit(&reloader) == 200);
}

#[test]
fn keys_are_read_again_when_their_file_changes() {
    let scratch = Scratch::new("keys");
    let set = |secret: &str| {
        format!(r#"{{"keys": [{{"kty": "oct", "alg": "HS256", "k": "{secret}"}}]}}"#)
    };
    let keys = scratch.write("keys.json", &set("AAAA"));
    let path = scratch.write(
        "limits.toml",
        &format!(
            "{}[identity.jwt]\nissuer = \"i\"\naudience = \"a\"\njwks_file = {keys:?}\n",
            text(100)
        ),
    );
    let (reloader, _watch) = watched(&path);
    let before = reloader.layer().version();
    scratch.write("keys.json", &set("BBBB"));
    eventually("the reload", || reloader.layer().version() > before);
}

#[test]
fn nothing_is_watched_any_more_afterwards() {
    let scratch = Scratch::new("afterwards");
    let path = scratch.write("limits.toml", &text(100));
    let (reloader, watch) = watched(&path);
    // The thread has ended when this returns.
    drop(watch);
    scratch.write("limits.toml", &text(200));
    assert_eq!(limit(&reloader), 100);
}

#[test]
fn only_files_can_be_watched() {
    let limited = Limited::by(&text(1));
    let reloader = Reloader::of_source(limited.layer.clone(), || Ok(read(&text(1))));
    assert!(matches!(reloader.watch(), Err(WatchError::NoFile)));
    let absent =
        Reloader::of_file(limited.layer, "/absent/folder/limits.toml", Environment::empty());
    let refused = absent.watch().unwrap_err();
    assert!(refused.to_string().contains("cannot be watched"), "{refused}");
}
