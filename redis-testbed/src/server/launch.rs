//! What lies in the folder of a server, and the start of its process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use redis::Value;

use crate::clock::SteppedClock;
use crate::error::TestbedError;
use crate::process::Process;
use crate::program::Program;
use crate::server::{COMMAND_DEADLINE, Kind};

/// The user through whom the tests administrate a server, whatever its other users may do.
pub(super) const ADMINISTRATOR: &str = "testbed";
pub(super) const ADMINISTRATOR_PASSWORD: &str = "testbed";

pub(super) fn unix_socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

pub(super) fn configuration(folder: &Path) -> PathBuf {
    folder.join("redis.conf")
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("redis.log")
}

/// The last lines of the log.
pub(super) fn log(folder: &Path) -> String {
    let log = fs::read_to_string(log_file(folder)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Whether the last start ended because somebody had its port. Redis 6.2 to 8 and Valkey say so in
/// the same words.
pub(super) fn found_its_port_taken(folder: &Path) -> bool {
    let log = log(folder);
    log.lines().last().is_some_and(|line| line.contains("Failed listening on port"))
}

pub(super) fn start(
    program: &Program,
    kind: Kind,
    folder: &Path,
    clock: Option<&SteppedClock>,
) -> Result<Process, TestbedError> {
    let mut command = Command::new(program.path());
    command.arg(configuration(folder));
    if kind == Kind::Sentinel {
        command.arg("--sentinel");
    }
    if let Some(clock) = clock {
        clock.preload(&mut command);
    }
    Process::start(command, &log_file(folder))
}

/// Without a read timeout: a timed read fails with `EINTR` whenever its thread is woken for a signal,
/// even one that is ignored, such as that of a child's end that comes while the main thread begins
/// another thread. An untimed one is gone on with by the system.
pub(super) fn administrator(folder: &Path) -> Result<redis::Connection, TestbedError> {
    let url = format!(
        "unix://{}?user={ADMINISTRATOR}&pass={ADMINISTRATOR_PASSWORD}",
        unix_socket(folder).display()
    );
    Ok(redis::Client::open(url)?.get_connection()?)
}

/// Has an administrator carry out one command, and does not wait for a server that hangs.
pub(super) fn ask(folder: &Path, command: redis::Cmd) -> Result<Value, TestbedError> {
    let (sender, answer) = mpsc::channel();
    let folder = folder.to_owned();
    // Left behind if it is too late; it ends with the server, which its owner ends at the latest.
    thread::spawn(move || {
        let answered = administrator(&folder)
            .and_then(|mut connection| Ok(command.query::<Value>(&mut connection)?));
        // Nobody listens any more if it is too late.
        let _ = sender.send(answered);
    });
    answer.recv_timeout(COMMAND_DEADLINE).unwrap_or_else(|_| {
        Err(TestbedError::TooLate {
            what: "the Redis server answers a command".to_owned(),
            after: COMMAND_DEADLINE,
        })
    })
}
