//! Limits that change while a program runs.

#![allow(clippy::disallowed_methods, reason = "a process of its own lives by the real clock")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::Example;
use crate::support::Connection;

/// A rules file of this test's own.
struct Limits(PathBuf);

impl Limits {
    fn new(name: &str, text: &str) -> Self {
        let folder = format!("rate-limit-configured-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        let limits = Self(folder.join("limits.toml"));
        limits.write(text);
        limits
    }

    /// Exchanges the whole file at once, so that nobody reads half of it.
    fn write(&self, text: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.0).unwrap();
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// A rule for everything, and one for `/login` by which it is seen which file is in force.
fn rules(limit: u64, algorithm: &str, version: u64) -> String {
    format!(
        "[[rule]]\nname = \"api\"\n\
         limit = {{ limit = {limit}, window = \"1m\", algorithm = \"{algorithm}\" }}\n\
         [[rule]]\nname = \"login\"\npaths = \"/login\"\nlimit = \"{version}/s\"\n"
    )
}

fn start(limits: &Limits, variables: &[(&str, &str)]) -> Example {
    let file = limits.0.to_str().unwrap();
    let variables: Vec<_> = variables.iter().copied().chain([("LIMITS", file)]).collect();
    Example::start_with("configured", &variables)
}

fn hang_up(example: &Example) {
    let process = example.process.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &process]).status().unwrap().success());
}

/// Waits until the file with this version is in force, over the same connection. It is asked for
/// `/login`, so that nothing is taken from the rule that is looked at.
async fn until_version(connection: &mut Connection, version: u64) {
    let started = Instant::now();
    while connection.ask("/login").await.number("x-ratelimit-limit") != version {
        assert!(started.elapsed() < Duration::from_secs(60), "version {version} is not in force");
        tokio::task::yield_now().await;
    }
}

/// 60 of 100 are used, the file says 200, the process is told by SIGHUP: the used share of a token
/// bucket stays, and so does the count of a window. The connection stays open.
#[tokio::test]
async fn an_edit_while_running_forgives_nothing() {
    for (algorithm, left) in [("token_bucket", 79), ("fixed_window", 139)] {
        let limits = Limits::new(algorithm, &rules(100, algorithm, 1));
        let example = start(&limits, &[]);
        let mut connection = Connection::open(example.address).await;
        let started = Instant::now();
        for _ in 0..60 {
            assert_eq!(connection.ask("/").await.number("x-ratelimit-limit"), 100);
        }
        limits.write(&rules(200, algorithm, 2));
        hang_up(&example);
        until_version(&mut connection, 2).await;
        let answer = connection.ask("/").await;
        // A bucket gets back up to 200 per minute meanwhile; a window nothing before its end.
        let seconds = started.elapsed().as_secs() + 1;
        let refill = if algorithm == "token_bucket" { seconds * 200 / 60 + 1 } else { 0 };
        let remaining = answer.number("x-ratelimit-remaining");
        assert_eq!(answer.number("x-ratelimit-limit"), 200);
        assert!((left..=left + refill).contains(&remaining), "{algorithm}: {remaining} are left");
        println!("{algorithm}: limit 200, remaining {remaining}");
    }
}

/// Without a signal, by the change alone.
#[tokio::test]
async fn the_file_is_read_again_when_it_changes() {
    let limits = Limits::new("watched", &rules(100, "token_bucket", 1));
    let example = start(&limits, &[]);
    let mut connection = Connection::open(example.address).await;
    assert_eq!(connection.ask("/").await.number("x-ratelimit-limit"), 100);
    limits.write(&rules(300, "token_bucket", 2));
    until_version(&mut connection, 2).await;
    assert_eq!(connection.ask("/").await.number("x-ratelimit-limit"), 300);
}

#[tokio::test]
async fn a_variable_wins_over_the_file_whenever_it_is_read() {
    let limits = Limits::new("variable", &rules(100, "token_bucket", 1));
    let example = start(&limits, &[("RATE_LIMIT__RULE__API__LIMIT", "50/min")]);
    let mut connection = Connection::open(example.address).await;
    assert_eq!(connection.ask("/").await.number("x-ratelimit-limit"), 50);
    limits.write(&rules(200, "token_bucket", 2));
    hang_up(&example);
    until_version(&mut connection, 2).await;
    assert_eq!(connection.ask("/").await.number("x-ratelimit-limit"), 50);
}

#[test]
fn a_bad_file_at_the_start_is_told_whole() {
    let limits = Limits::new("start", "[[rule]]\nname = \"api\"\nlimt = \"5/min\"\n");
    let output = Command::new(crate::process::binary("configured"))
        .env("LIMITS", &limits.0)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("limits.toml:3:1") && error.contains("did you mean `limit`?"),
        "{error}"
    );
}
