//! How a server is to be started.

use std::path::Path;

use crate::clock::SteppedClock;
use crate::error::TestbedError;
use crate::port::ReservedPort;
use crate::program::Program;
use crate::server::launch::{self, ADMINISTRATOR, ADMINISTRATOR_PASSWORD};
use crate::server::{self, Kind, Plaintext, RedisServer, Settings};
use crate::tls::{Certificates, ServerIdentity};

/// Options, users and certificates of a server that is still to be started.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until `start` is called"]
pub struct ServerBuilder {
    program: Option<Program>,
    kind: Kind,
    lines: Vec<String>,
    plaintext: Plaintext,
    password: Option<String>,
    clock: Clock,
}

/// Which clock the server reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Clock {
    Stepped,
    System,
}

impl ServerBuilder {
    pub(super) fn new() -> Self {
        Self {
            program: None,
            kind: Kind::Server,
            lines: Vec::new(),
            plaintext: Plaintext::Spoken,
            password: None,
            clock: Clock::System,
        }
    }

    /// Runs this program instead of the first one that is installed.
    pub fn program(mut self, program: &Program) -> Self {
        self.program = Some(program.clone());
        self
    }

    /// Adds a line to the configuration file, such as `maxmemory` with `8mb`.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.lines.push(format!("{name} {value}"));
        self
    }

    /// Adds a user: `rules` as for `ACL SETUSER`, such as `>secret ~rl:* +eval`.
    pub fn user(self, name: &str, rules: &str) -> Self {
        self.option("user", &format!("{name} on {rules}"))
    }

    /// Asks the default user for a password, which consists of characters that a URL may contain.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.option("requirepass", password)
    }

    /// Speaks TLS on its port, and nothing else.
    pub fn tls(mut self, certificates: &Certificates, identity: ServerIdentity) -> Self {
        self.plaintext = Plaintext::Refused;
        let (certificate, key) = certificates.server(identity);
        self.path("tls-cert-file", certificate)
            .path("tls-key-file", key)
            .path("tls-ca-cert-file", certificates.authority())
            .option("tls-auth-clients", "no")
    }

    /// Accepts only clients that show [`Certificates::client`]; after [`tls`](Self::tls).
    pub fn require_client_certificate(self) -> Self {
        self.option("tls-auth-clients", "yes")
    }

    /// Lets the test set the server's clock with [`RedisServer::step_clock`]. Needs Linux and `cc`.
    pub fn stepped_clock(mut self) -> Self {
        self.clock = Clock::Stepped;
        self
    }

    pub(crate) fn sentinel(mut self) -> Self {
        self.kind = Kind::Sentinel;
        self
    }

    fn path(self, name: &str, path: &Path) -> Self {
        self.option(name, &path.display().to_string())
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    ///
    /// If no program is installed, or it refuses its options; the log is part of the error.
    pub fn start(&self) -> Result<RedisServer, TestbedError> {
        let program = self.program.clone().map_or_else(Program::find, Ok)?;
        let folder = tempfile::Builder::new()
            .prefix("redis-")
            .tempdir()
            .map_err(TestbedError::system("cannot create a folder"))?;
        let port = ReservedPort::reserve()?;
        let clock = match self.clock {
            Clock::System => None,
            Clock::Stepped => Some(SteppedClock::new(folder.path())?),
        };
        let configuration = self.configuration(folder.path(), &port);
        let settings = Settings {
            program,
            kind: self.kind,
            plaintext: self.plaintext,
            password: self.password.clone(),
            clock,
        };
        server::start(&configuration, settings, folder, port)
    }

    /// What the test asked for comes last, because the last line of a name counts.
    fn configuration(&self, folder: &Path, port: &ReservedPort) -> Vec<String> {
        let number = port.number();
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("dir {}", folder.display()),
            format!("unixsocket {}", launch::unix_socket(folder).display()),
            "unixsocketperm 700".to_owned(),
            format!("user {ADMINISTRATOR} on >{ADMINISTRATOR_PASSWORD} ~* &* +@all"),
        ];
        lines.push(match self.plaintext {
            Plaintext::Spoken => format!("port {number}"),
            Plaintext::Refused => format!("port 0\ntls-port {number}"),
        });
        if self.kind == Kind::Server {
            // Nothing on disk: a restart begins empty.
            lines.extend(["save \"\"".to_owned(), "appendonly no".to_owned()]);
        }
        lines.extend(self.lines.iter().cloned());
        lines
    }
}
