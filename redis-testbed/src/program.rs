//! Which server program runs.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::error::TestbedError;

/// The names under which systems install servers that speak the protocol.
const NAMES: [&str; 2] = ["redis-server", "valkey-server"];

/// An installed server program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Program {
    path: PathBuf,
    version: String,
}

impl Program {
    /// The program that tests use if they do not care which: the first of [`installed`].
    ///
    /// # Errors
    ///
    /// If there is none, with what to install.
    ///
    /// [`installed`]: Self::installed
    pub fn find() -> Result<Self, TestbedError> {
        // Asking a program for its version starts a process; once is enough.
        static FOUND: OnceLock<Program> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(found.clone());
        }
        let program = Self::installed()?.into_iter().next().ok_or(TestbedError::NoProgram)?;
        Ok(FOUND.get_or_init(|| program).clone())
    }

    /// All server programs of this machine: the one that `REDIS_SERVER_PROGRAM` names, alone if it
    /// is set, or else every Redis and Valkey in `PATH`.
    ///
    /// # Errors
    ///
    /// If there is none, with what to install.
    pub fn installed() -> Result<Vec<Self>, TestbedError> {
        let named = std::env::var_os("REDIS_SERVER_PROGRAM").filter(|name| !name.is_empty());
        if let Some(named) = named {
            return Ok(vec![Self::named(&named)?]);
        }
        let mut found: Vec<Self> = Vec::new();
        for name in NAMES {
            // A Valkey that is installed under both names is one program.
            if let Ok(program) = Self::ask(Path::new(name))
                && found.iter().all(|other| other.version != program.version)
            {
                found.push(program);
            }
        }
        if found.is_empty() { Err(TestbedError::NoProgram) } else { Ok(found) }
    }

    fn named(name: &OsString) -> Result<Self, TestbedError> {
        let path = Path::new(name);
        Self::ask(path).map_err(|reason| TestbedError::BadProgram { path: path.to_owned(), reason })
    }

    fn ask(path: &Path) -> Result<Self, String> {
        let output =
            Command::new(path).arg("--version").output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout);
        let (name, rest) =
            said.split_once(" v=").ok_or_else(|| format!("it answered {:?}", said.trim()))?;
        let number = rest.split_whitespace().next().unwrap_or_default();
        let kind = name.split_whitespace().next().unwrap_or_default();
        Ok(Self { path: path.to_owned(), version: format!("{kind} {number}") })
    }

    /// What is run.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name and version, such as `Redis 7.0.15`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.version, self.path.display())
    }
}
