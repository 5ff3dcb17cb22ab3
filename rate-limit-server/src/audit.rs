//! The audit log: every administrative call and every ban, as one line of JSON. Lines are only ever
//! appended. No line holds a token or an API key.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use http::request::Parts;
use rate_limit_tower::PeerAddress;
use serde_json::{Map, Value};
use tracing::{error, info};

use crate::clock;
use crate::error::ServerError;

/// By which its lines are told from others in the program's log.
pub(crate) const TARGET: &str = "audit";

/// The audit log.
pub(crate) struct Audit {
    /// `None`: lines of the program's log.
    file: Option<Mutex<File>>,
    /// By which the lines tell tokens apart.
    token: String,
}

/// One line that is being written.
#[derive(Debug)]
#[must_use = "an entry is written by `Audit::note`"]
pub(crate) struct Entry(Map<String, Value>);

impl Entry {
    /// What was done.
    pub(crate) fn of(action: &'static str) -> Self {
        Self(Map::from_iter([("action".to_owned(), action.into())]))
    }

    /// Whether it was done.
    pub(crate) fn with_outcome<T, E>(self, outcome: &Result<T, E>) -> Self {
        self.with("outcome", if outcome.is_ok() { "applied" } else { "refused" })
    }

    /// One member more.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

impl Audit {
    /// Begins to append to a file, or to write into the program's log.
    pub(crate) fn begin(path: Option<&Path>, token: String) -> Result<Self, ServerError> {
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(path)
        };
        let file = path
            .map(|path| {
                open(path).map_err(|source| ServerError::AuditLog { path: path.into(), source })
            })
            .transpose()?;
        Ok(Self { file: file.map(Mutex::new), token })
    }

    /// Notes what somebody did.
    pub(crate) fn note(&self, request: &Parts, entry: Entry) {
        let peer = request.extensions.get::<PeerAddress>().map(|peer| peer.0.ip().to_string());
        let mut who = Map::new();
        peer.map(|peer| who.insert("address".to_owned(), peer.into()));
        who.insert("token".to_owned(), self.token.as_str().into());
        self.append(entry.with("who", who));
    }

    /// Notes what happened by itself.
    pub(crate) fn append(&self, entry: Entry) {
        let entry = entry.with("time", clock::rfc3339());
        let mut line = Value::Object(entry.0).to_string();
        let Some(file) = &self.file else {
            return info!(target: TARGET, "{line}");
        };
        line.push('\n');
        // One write for a whole line, so that lines of several processes do not mix.
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            error!("the audit log cannot be written: {error}; the line was {}", line.trim_end());
        }
    }
}
