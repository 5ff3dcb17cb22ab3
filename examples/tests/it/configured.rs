//! Limits that change while a program runs.

#![allow(clippy::disallowed_methods, reason = "a process of its own lives by the real clock")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::Example;
use crate::support::{Answer, Connection};

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

fn rule(limit: u64, algorithm: &str) -> String {
    format!(
        "[[rule]]\nname = \"api\"\n\
         limit = {{ limit = {limit}, window = \"1m\", algorithm = \"{algorithm}\" }}\n"
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

/// Asks until the limit is `limit`, over the same connection. Every answer on the way is by the old
/// one.
async fn until_limit(connection: &mut Connection, old: u64, limit: u64) -> (u64, Answer) {
    let started = Instant::now();
    let mut asked = 0;
    loop {
        let answer = connection.ask("/").await;
        asked += 1;
        match answer.number("x-ratelimit-limit") {
            number if number == limit => return (asked, answer),
            number => assert_eq!(number, old),
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the limit is still {old}");
        tokio::task::yield_now().await;
    }
}

/// 60 of 100 are used, the file says 200, the process is told by SIGHUP: the used share of a token
/// bucket stays, and so does the count of a window. The connection stays open.
#[tokio::test]
async fn an_edit_while_running_forgives_nothing() {
    for (algorithm, left_of_200) in [("token_bucket", 80), ("fixed_window", 140)] {
        let limits = Limits::new(algorithm, &rule(100, algorithm));
        let example = start(&limits, &[]);
        let mut connection = Connection::open(example.address).await;
        let started = Instant::now();
        let mut remaining = 100;
        for _ in 0..60 {
            remaining = connection.ask("/").await.number("x-ratelimit-remaining");
        }
        assert!(remaining >= 40, "{algorithm}: {remaining}");
        limits.write(&rule(200, algorithm));
        hang_up(&example);
        let (asked, answer) = until_limit(&mut connection, 100, 200).await;
        // A bucket gets back up to 200 per minute meanwhile; a window nothing. Each question that
        // was asked until the new limit was there has taken one; of a bucket of 100, the share of
        // two of a bucket of 200.
        let seconds = started.elapsed().as_secs() + 1;
        let (refill, share) =
            if algorithm == "token_bucket" { (seconds * 200 / 60 + 1, 2) } else { (0, 1) };
        let remaining = answer.number("x-ratelimit-remaining");
        let least = left_of_200 - 1 - (asked - 1) * share;
        assert!(
            (least..=least + refill).contains(&remaining),
            "{algorithm}: {remaining} are left, {least} to {} are right",
            least + refill,
        );
        println!("{algorithm}: limit 200, remaining {remaining} after {asked} questions");
    }
}

/// Without a signal, by the change alone.
#[tokio::test]
async fn the_file_is_read_again_when_it_changes() {
    let limits = Limits::new("watched", &rule(100, "token_bucket"));
    let example = start(&limits, &[]);
    let mut connection = Connection::open(example.address).await;
    connection.ask("/").await;
    limits.write(&rule(300, "token_bucket"));
    until_limit(&mut connection, 100, 300).await;
}

#[tokio::test]
async fn a_variable_wins_over_the_file_whenever_it_is_read() {
    let limits = Limits::new("variable", &rule(100, "token_bucket"));
    let example = start(&limits, &[("RATE_LIMIT__RULE__API__LIMIT", "50/min")]);
    let mut connection = Connection::open(example.address).await;
    assert_eq!(connection.ask("/").await.number("x-ratelimit-limit"), 50, "the variable wins");
    // The variable wins over this file too; what it says besides is how we see that it applies.
    let more = "[[rule]]\nname = \"login\"\npaths = \"/login\"\nlimit = \"7/min\"\n";
    limits.write(&format!("{}{more}", rule(200, "token_bucket")));
    hang_up(&example);
    let started = Instant::now();
    loop {
        assert_eq!(connection.ask("/").await.number("x-ratelimit-limit"), 50);
        if connection.ask("/login").await.number("x-ratelimit-limit") == 7 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the file was not read again");
        tokio::task::yield_now().await;
    }
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
