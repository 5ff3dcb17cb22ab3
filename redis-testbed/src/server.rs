//! One server: a process, its ports, its folder.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Value};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::error::TestbedError;
use crate::port::ReservedPort;
use crate::process::Process;
use crate::program::Program;
use crate::wait;

mod builder;
mod launch;

pub use builder::ServerBuilder;

/// How long a server may take to start, on a machine that does a lot else meanwhile.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// How long a single command of a test may take.
const COMMAND_DEADLINE: Duration = Duration::from_secs(10);

/// A running server. It is ended, and its folder removed, when this is dropped.
///
/// # Example: a server that is away for a while
///
/// ```
/// use redis_testbed::RedisServer;
///
/// let server = RedisServer::start()?;
/// server.suspend()?;
/// // Whoever asks now hears nothing, as from a machine that hangs.
/// server.resume()?;
/// server.command(&["PING"])?;
/// # Ok::<(), redis_testbed::TestbedError>(())
/// ```
#[derive(Debug)]
pub struct RedisServer {
    // In this order, so that the process has ended when its folder goes and its port is given free.
    process: Mutex<Option<Process>>,
    folder: TempDir,
    port: ReservedPort,
    settings: Settings,
}

/// What does not change between two starts.
#[derive(Debug)]
struct Settings {
    program: Program,
    kind: Kind,
    plaintext: Plaintext,
    password: Option<String>,
    clock: Option<crate::clock::SteppedClock>,
}

/// What the program is started as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Server,
    Sentinel,
}

/// Whether the TCP port speaks plain text or TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Plaintext {
    Spoken,
    Refused,
}

impl RedisServer {
    /// Starts a server with nothing on disk and no password.
    ///
    /// # Errors
    ///
    /// If no program is installed, or it does not start.
    pub fn start() -> Result<Self, TestbedError> {
        Self::builder().start()
    }

    /// Options, users, certificates.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The URL for the default user, with its password if there is one.
    pub fn url(&self) -> String {
        let credentials =
            self.settings.password.as_ref().map_or_else(String::new, |word| format!(":{word}@"));
        self.url_with(&credentials)
    }

    /// The URL for one of the server's users.
    pub fn url_for(&self, user: &str, password: &str) -> String {
        self.url_with(&format!("{user}:{password}@"))
    }

    fn url_with(&self, credentials: &str) -> String {
        let scheme = match self.settings.plaintext {
            Plaintext::Spoken => "redis",
            Plaintext::Refused => "rediss",
        };
        format!("{scheme}://{credentials}{}", self.address())
    }

    /// Its Unix socket, which every server has beside its port.
    pub fn unix_socket(&self) -> std::path::PathBuf {
        launch::unix_socket(self.folder.path())
    }

    /// The URL of its Unix socket, for the default user without a password.
    pub fn unix_url(&self) -> String {
        format!("unix://{}", self.unix_socket().display())
    }

    /// Its files. Sentinels and cluster nodes keep what they learnt here.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Which program runs.
    pub fn program(&self) -> &Program {
        &self.settings.program
    }

    /// The id of its process; `None` while it is not running.
    pub fn process_id(&self) -> Option<u32> {
        self.process().as_ref().map(Process::id)
    }

    /// Ends it as a crash does: without a word to anybody. Its port stays reserved.
    ///
    /// # Errors
    ///
    /// None today; it is one for the day on which the signal fails.
    pub fn kill(&self) -> Result<(), TestbedError> {
        // Dropping waits for the end.
        drop(self.process().take());
        Ok(())
    }

    /// Starts it again, on the same port and in the same folder, after killing it if it runs.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn restart(&self) -> Result<(), TestbedError> {
        self.kill()?;
        self.launch()
    }

    /// Makes it hang: connections stay open, nothing is answered (`SIGSTOP`).
    ///
    /// # Errors
    ///
    /// If it is not running.
    pub fn suspend(&self) -> Result<(), TestbedError> {
        self.signal(Signal::STOP)
    }

    /// Ends a hang. What was sent meanwhile is carried out now (`SIGCONT`).
    ///
    /// # Errors
    ///
    /// If it is not running.
    pub fn resume(&self) -> Result<(), TestbedError> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), TestbedError> {
        match &*self.process() {
            Some(process) => process.signal(signal),
            None => Err(TestbedError::Ended { log: launch::log(self.folder.path()) }),
        }
    }

    /// Sets the server's clock forward by `seconds` (back, if negative), counted from the true
    /// time and not from the last step. Only for a server with [`ServerBuilder::stepped_clock`].
    ///
    /// # Errors
    ///
    /// If the server has no such clock.
    pub fn step_clock(&self, seconds: i64) -> Result<(), TestbedError> {
        match &self.settings.clock {
            Some(clock) => clock.step(seconds),
            None => Err(TestbedError::Unexpected {
                command: "step_clock",
                answer: "the server was started without stepped_clock()".to_owned(),
            }),
        }
    }

    /// A connection of an administrator, who may do everything, over the Unix socket. Passwords,
    /// TLS and proxies in front of the port do not concern it. It waits for as long as the server
    /// takes; [`command`](Self::command) does not.
    ///
    /// # Errors
    ///
    /// If the server does not accept it.
    pub fn administrator(&self) -> Result<redis::Connection, TestbedError> {
        launch::administrator(self.folder.path())
    }

    /// Has an administrator carry out one command.
    ///
    /// # Errors
    ///
    /// If the server refuses it or does not answer within ten seconds.
    pub fn command(&self, words: &[&str]) -> Result<Value, TestbedError> {
        launch::ask(self.folder.path(), words_of(words))
    }

    /// The same for any bytes and an answer of a certain type.
    pub(crate) fn ask<T: FromRedisValue>(&self, command: Cmd) -> Result<T, TestbedError> {
        let answer = launch::ask(self.folder.path(), command)?;
        redis::from_redis_value(answer).map_err(|error| TestbedError::Redis(error.into()))
    }

    /// One field of `INFO`, such as `used_memory` or `used_cpu_user`.
    ///
    /// # Errors
    ///
    /// If the server does not answer or has no such field.
    pub fn info(&self, field: &str) -> Result<String, TestbedError> {
        let all: String = self.ask(words_of(&["INFO", "everything"]))?;
        let value = all.lines().find_map(|line| line.split_once(':').filter(|(k, _)| *k == field));
        value.map(|(_, value)| value.trim().to_owned()).ok_or_else(|| TestbedError::Unexpected {
            command: "INFO everything",
            answer: format!("no field `{field}`"),
        })
    }

    /// How often `command` (in lower case) was called since the start or since
    /// `CONFIG RESETSTAT`, refused calls not counted.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub fn calls(&self, command: &str) -> Result<u64, TestbedError> {
        match self.info(&format!("cmdstat_{command}")) {
            Ok(figures) => figures
                .split(',')
                .find_map(|figure| figure.strip_prefix("calls=")?.parse().ok())
                .ok_or(TestbedError::Unexpected { command: "INFO", answer: figures }),
            // A command that was never called has no line.
            Err(TestbedError::Unexpected { .. }) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// The value of a `CONFIG` parameter while it runs.
    ///
    /// # Errors
    ///
    /// If the server does not know the parameter or refuses the value.
    pub fn configure(&self, parameter: &str, value: &str) -> Result<(), TestbedError> {
        self.command(&["CONFIG", "SET", parameter, value]).map(drop)
    }

    /// Starts the program, again and again while its port is taken: it was free when it was reserved,
    /// and a process that this one was just starting may have had a copy of the socket that found
    /// it free, until it became another program.
    fn launch(&self) -> Result<(), TestbedError> {
        let launched = wait::until_some("the port of a server is free", START_DEADLINE, || {
            let launched = self.launch_once();
            let is_taken = launched.is_err() && launch::found_its_port_taken(self.folder.path());
            (!is_taken).then_some(launched)
        });
        match launched {
            Ok(launched) => launched,
            Err(_) => Err(TestbedError::Ended { log: launch::log(self.folder.path()) }),
        }
    }

    fn launch_once(&self) -> Result<(), TestbedError> {
        let Settings { program, kind, clock, .. } = &self.settings;
        let folder = self.folder.path();
        let mut process = launch::start(program, *kind, folder, clock.as_ref())?;
        let mut ended = false;
        let ready = wait::until("the Redis server answers PING", START_DEADLINE, || {
            let pong = Value::SimpleString("PONG".to_owned());
            let answers =
                launch::ask(folder, redis::cmd("PING")).is_ok_and(|answer| answer == pong);
            ended = !answers && process.has_ended();
            answers || ended
        });
        if ended {
            return Err(TestbedError::Ended { log: launch::log(folder) });
        }
        ready?;
        *self.process() = Some(process);
        Ok(())
    }

    /// A test that panicked while it held the lock left a whole `Option` behind.
    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn words_of(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command
}

/// Writes the configuration and starts.
fn start(
    configuration: &[String],
    settings: Settings,
    folder: TempDir,
    port: ReservedPort,
) -> Result<RedisServer, TestbedError> {
    fs::write(launch::configuration(folder.path()), configuration.join("\n") + "\n")
        .map_err(TestbedError::system("cannot write the configuration of a Redis server"))?;
    let server = RedisServer { process: Mutex::new(None), folder, port, settings };
    server.launch()?;
    Ok(server)
}
