//! Scripts, and calls of them.

use std::sync::LazyLock;

use rate_limit_core::Now;

use crate::stored::NANOS_PER_SECOND;

/// Decides requests that all ask for the same of one token bucket each, without penalty ladders, each
/// with a key of its own.
pub(crate) static DECIDE_SINGLE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/single.lua")));

/// Decides requests that all ask for the same of token buckets without penalty ladders, each with keys
/// of its own.
pub(crate) static DECIDE_ALIKE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/alike.lua")));

/// Decides requests over token buckets without penalty ladders.
pub(crate) static DECIDE_BUCKETS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("scripts/prelude.lua"),
        include_str!("scripts/token_bucket.lua"),
        include_str!("scripts/decide.lua"),
    ))
});

/// Decides requests of every kind.
pub(crate) static DECIDE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("scripts/prelude.lua"),
        include_str!("scripts/instants.lua"),
        include_str!("scripts/token_bucket.lua"),
        include_str!("scripts/windows.lua"),
        include_str!("scripts/log.lua"),
        include_str!("scripts/ladder.lua"),
        include_str!("scripts/decide.lua"),
    ))
});

/// Corrects charges.
pub(crate) static SETTLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("scripts/prelude.lua"),
        include_str!("scripts/instants.lua"),
        include_str!("scripts/token_bucket.lua"),
        include_str!("scripts/windows.lua"),
        include_str!("scripts/log.lua"),
        include_str!("scripts/settle.lua"),
    ))
});

/// Writes the first argument of every script: the time that a test has set, or nothing.
pub(crate) fn write_time(now: Option<Now>, to: &mut Vec<u8>) {
    for instant in now.iter().flat_map(|now| [now.monotonic, now.utc]) {
        // The upper three bytes of the seconds are zero for half a millennium.
        let [_, _, _, seconds @ ..] = (instant.as_nanos() / NANOS_PER_SECOND).to_be_bytes();
        to.extend_from_slice(&seconds);
        let [_, _, _, _, nanos @ ..] = (instant.as_nanos() % NANOS_PER_SECOND).to_be_bytes();
        to.extend_from_slice(&nanos);
    }
}

/// A script: its text, and the digest by which the server remembers it.
pub(crate) struct Script {
    text: &'static str,
    sha1: String,
}

impl Script {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, sha1: redis::Script::new(text).get_hash().to_owned() }
    }

    /// The text, for `EVAL`.
    pub(crate) const fn text(&self) -> &'static str {
        self.text
    }

    /// The digest, for `EVALSHA`.
    pub(crate) fn sha1(&self) -> &str {
        &self.sha1
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Script({})", self.sha1)
    }
}

/// One call of a script: its keys, then its arguments, all in one buffer.
///
/// A call carries up to a hundred keys, and each in a buffer of its own would be an allocation.
#[derive(Debug)]
pub(crate) struct ScriptCall {
    script: &'static Script,
    keys: usize,
    bytes: Vec<u8>,
    /// Where each key and each argument ends.
    ends: Vec<usize>,
}

impl ScriptCall {
    /// A call of `script`, with room for `pieces` keys and arguments.
    pub(crate) fn new(script: &'static Script, pieces: usize) -> Self {
        let (bytes, ends) = (Vec::with_capacity(pieces * 48), Vec::with_capacity(pieces));
        Self { script, keys: 0, bytes, ends }
    }

    #[cfg(test)]
    pub(crate) const fn script(&self) -> &'static Script {
        self.script
    }

    /// The same call of another script.
    pub(crate) fn of(self, script: &'static Script) -> Self {
        Self { script, ..self }
    }

    /// Adds a key. All keys are added before the first argument.
    pub(crate) fn key(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.keys += 1;
        self.arg(write);
    }

    /// Adds an argument.
    pub(crate) fn arg(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// The command that names the script by its digest.
    pub(crate) fn evalsha(&self) -> redis::Cmd {
        self.command("EVALSHA", self.script.sha1())
    }

    /// The command that carries the script.
    pub(crate) fn eval(&self) -> redis::Cmd {
        self.command("EVAL", self.script.text())
    }

    fn command(&self, name: &str, script: &str) -> redis::Cmd {
        let size = name.len() + script.len() + self.bytes.len() + 8;
        let mut command = redis::Cmd::with_capacity(self.ends.len() + 3, size);
        command.arg(name).arg(script).arg(self.keys);
        let mut start = 0;
        for end in &self.ends {
            command.arg(self.bytes.get(start..*end).unwrap_or_default());
            start = *end;
        }
        command
    }
}
