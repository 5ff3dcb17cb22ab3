//! One running server process, which does not outlive its owner.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::TestbedError;

/// A child process that is ended by its id.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Waits for the end of its standard input, which comes when this test program ends in
    /// whichever way, and ends the server then. A panic is no such case, an abort is.
    watchdog: Child,
}

impl Process {
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self, TestbedError> {
        let failed = TestbedError::system("cannot start the Redis server");
        let output = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let output = output.map_err(TestbedError::system("cannot open the log"))?;
        let errors = output.try_clone().map_err(TestbedError::system("cannot open the log"))?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let mut child = child.map_err(failed)?;
        let watchdog = Command::new("sh")
            .args(["-c", "read -r _; kill -9 \"$0\"", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self { child, watchdog }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(TestbedError::system("cannot start `sh`, which watches the server")(error))
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), TestbedError> {
        kill_process(Pid::from_child(&self.child), signal).map_err(|error| TestbedError::System {
            doing: "cannot send a signal to the Redis server",
            source: error.into(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog first: once the server is waited for, its id may be somebody else's.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        // Ends a stopped process as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
