//! A running server, which ends with the test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::client::{Answer, Client};

/// As long as a token has to be.
pub(crate) const TOKEN: &str = "a-token-of-the-tests-0123456789abcdef";

/// The program.
pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rate-limit-server"));
    program.env_clear();
    program
}

/// What the program prints and how it ends, if it does at once.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    program().args(arguments).envs(variables.iter().copied()).output().unwrap()
}

/// A running server.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) banner: String,
    /// Kept open until the log was read, which the process would otherwise wait for.
    log: Option<JoinHandle<String>>,
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts it on a free port of loopback.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// The same with a token.
    pub(crate) fn administered(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[("RATE_LIMIT_TOKEN", TOKEN)])
    }

    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut program = program();
        if !arguments.contains(&"--listen") {
            program.args(["--listen", "127.0.0.1:0"]);
        }
        program.args(arguments).envs(variables.iter().copied());
        let mut process = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = process.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            let _ = errors.read_to_string(&mut log);
            log
        });
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("openapi.json") {
            if output.read_line(&mut banner).unwrap() == 0 {
                let status = process.wait().unwrap();
                panic!("the server ended with {status}: {}", log.join().unwrap());
            }
        }
        let said = banner.split("http://").nth(1).unwrap();
        let address = said.split(['/', ' ']).next().unwrap().trim_end_matches('.').parse().unwrap();
        Self { process, address, banner, log: Some(log), _output: output }
    }

    pub(crate) fn client(&self) -> Client {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        Client::connect(address)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.client().send(&format!("GET {path}"), &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.client().send(&format!("POST {path}"), &[], body.as_bytes())
    }

    /// A request of somebody who has the token.
    pub(crate) fn administer(&self, line: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let fields = [&[("authorization", bearer.as_str())], fields].concat();
        self.client().send(line, &fields, body.as_bytes())
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.process.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &process]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end, and returns the log too.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let status = self.process.wait().unwrap();
        (status, self.log.take().unwrap().join().unwrap())
    }

    /// Ends it as nobody would wish to end.
    pub(crate) fn kill(mut self) -> String {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A folder with files in it, which ends with the test.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The path of a file that need not exist.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The lines of a file, each of which is JSON.
    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Polls until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    redis_testbed::until(what, crate::client::PATIENCE, &mut holds).unwrap();
}
