//! A wall clock that a test can set, for one server at a time.
//!
//! Redis reads the time with `gettimeofday`. A shim of a few lines of C, compiled with the `cc`
//! that linking Rust needs anyway, is loaded before the C library and adds the seconds that stand
//! in a file. The monotonic clock is left alone, as a stepped clock leaves it alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::TestbedError;

const SHIM: &str = include_str!("clock_shim.c");

/// The shim of one server and the file that it reads.
#[derive(Debug)]
pub(crate) struct SteppedClock {
    library: PathBuf,
    offset: PathBuf,
}

impl SteppedClock {
    pub(crate) fn new(folder: &Path) -> Result<Self, TestbedError> {
        let source = folder.join("clock_shim.c");
        let library = folder.join("clock_shim.so");
        let failed = "cannot compile the clock shim with `cc`";
        fs::write(&source, SHIM).map_err(TestbedError::system(failed))?;
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&library, &source])
            .status()
            .map_err(TestbedError::system(failed))?;
        if !status.success() {
            let answer = status.to_string();
            return Err(TestbedError::Unexpected { command: "cc", answer });
        }
        let clock = Self { library, offset: folder.join("clock_offset") };
        clock.step(0)?;
        Ok(clock)
    }

    /// The file is mapped by the shim, so it is written in place: eight bytes, at once.
    pub(crate) fn step(&self, seconds: i64) -> Result<(), TestbedError> {
        use std::io::Write as _;
        let failed = TestbedError::system("cannot set the clock");
        fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.offset)
            .and_then(|mut file| file.write_all(&seconds.to_ne_bytes()))
            .map_err(failed)
    }

    pub(crate) fn preload(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("CLOCK_OFFSET_FILE", &self.offset);
    }
}
