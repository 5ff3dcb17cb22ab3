//! What lies in the folder of a server, and the start of its process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

pub(super) fn administrator(folder: &Path) -> Result<redis::Connection, TestbedError> {
    let url = format!(
        "unix://{}?user={ADMINISTRATOR}&pass={ADMINISTRATOR_PASSWORD}",
        unix_socket(folder).display()
    );
    let connection = redis::Client::open(url)?.get_connection_with_timeout(COMMAND_DEADLINE)?;
    connection.set_read_timeout(Some(COMMAND_DEADLINE))?;
    Ok(connection)
}
