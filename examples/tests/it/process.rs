//! The examples as processes of their own.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::support::Connection;

/// A running example, which is stopped when this is dropped.
pub(crate) struct Example {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
    printed: String,
    /// Kept open, because a program that prints to nobody panics.
    output: BufReader<ChildStdout>,
}

impl Example {
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// Starts the example with these environment variables on a port that is free.
    pub(crate) fn start_with(name: &str, variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(binary(name))
            .arg("127.0.0.1:0")
            .env_remove("ADDR")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut printed = String::new();
        assert_ne!(output.read_line(&mut printed).unwrap(), 0, "{name} ended");
        let said = printed.split("http://").nth(1).unwrap();
        let address = said.split(['/', ' ']).next().unwrap().trim_end_matches('.');
        let address = address.parse().unwrap();
        Self { process, address, printed, output }
    }

    /// What the program has printed up to the first line that contains `last`.
    pub(crate) fn printed_up_to(&mut self, last: &str) -> &str {
        while !self.printed.contains(last) {
            let printed = &mut self.printed;
            assert_ne!(self.output.read_line(printed).unwrap(), 0, "it said only {printed:?}");
        }
        &self.printed
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The example next to this test. Cargo builds it with the tests of a package, but not if a single
/// test target is asked for.
pub(crate) fn binary(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let target = this.parent().unwrap().parent().unwrap();
    let binary = target.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(binary.exists(), "{binary:?} is missing; run `cargo test` or `cargo build --examples`");
    binary
}

/// The examples that are built on the library of this package.
const NAMES: [&str; 10] = [
    "configured",
    "custom_repository",
    "hyper_service",
    "login_protection",
    "metrics",
    "redis_shared",
    "tiers",
    "tonic_service",
    "two_dimensions",
    "weighted_cost",
];

#[test]
fn every_example_prints_what_to_type_next() {
    for name in NAMES {
        let mut example = Example::start(name);
        let url = format!("http://{}", example.address);
        let printed = example.printed_up_to("curl").to_owned();
        assert!(printed.starts_with(&format!("Listening on {url}. Stop with Ctrl-C.\n")), "{name}");
        assert!(printed.lines().count() <= 7, "{name} says too much beforehand: {printed}");
    }
}

#[test]
fn a_port_that_is_taken_is_one_clear_line_in_every_example() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for name in NAMES {
        let output = Command::new(binary(name)).env("ADDR", &address).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert_eq!(error.lines().count(), 1, "{name}: {error}");
        let how = format!("cargo run --example {name} 127.0.0.1:3001");
        assert!(error.contains(&address) && error.contains(&how), "{name}: {error}");
        assert!(output.stdout.is_empty(), "{name}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_stops_every_example() {
    for name in NAMES {
        let mut example = Example::start(name);
        // Once it answers, it also listens to signals.
        Connection::open(example.address).await.ask("/").await;
        let process = example.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
        assert!(example.process.wait().unwrap().success(), "{name}");
    }
}
