//! Worker processes, and giving them orders.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::worker::ROLE;

/// A process that asks on its own. It is ended when this is dropped.
pub(crate) struct Worker {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    pub(crate) fn start(url: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([ROLE, url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, input, output }
    }

    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.input, "{order}").unwrap();
    }

    /// The next line of its answer.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the worker has ended");
        line.trim_end().to_owned()
    }

    /// How many of `count` were admitted.
    pub(crate) fn ask(&mut self, name: &str, count: u64) -> u64 {
        self.order(&format!("ask {name} {count}"));
        self.line().parse().unwrap()
    }

    /// The instants up to an empty line.
    pub(crate) fn instants(&mut self) -> Vec<u64> {
        let mut instants = Vec::new();
        loop {
            match self.line().as_str() {
                "" => return instants,
                instant => instants.push(instant.parse().unwrap()),
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
