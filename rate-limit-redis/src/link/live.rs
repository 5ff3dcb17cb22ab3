//! A connection in use, and what its silence says.
//!
//! The counters are read and written without order (`Relaxed`): they guard no memory, and a count
//! that is late by one call replaces a connection one call later.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};
use tokio::sync::Notify;

use super::dial::Dialed;
use crate::clock::now;

/// After so many unanswered calls in a row, each sent when the one before had already been given
/// up, the connection is doubted. Calls that wait side by side count as one: a server that paused
/// for one deadline is no reason for all its clients to reconnect.
const SILENCES_TO_DOUBT: u32 = 3;

/// How long a doubted connection has to give any sign of life before it is replaced. A server that
/// replies, but later than decisions can wait, would not be quicker over a new connection.
const PATIENCE: Duration = Duration::from_millis(250);

/// A connection in use.
#[derive(Debug)]
pub(crate) struct Live {
    dialed: Dialed,
    since: Instant,
    silences: AtomicU32,
    /// When the last silence was counted, in nanoseconds since `since`.
    silent_at: AtomicU64,
    /// When the last reply came, in nanoseconds since `since`.
    heard_at: AtomicU64,
}

impl Live {
    pub(super) fn new(dialed: Dialed) -> Self {
        Self {
            dialed,
            since: now(),
            silences: AtomicU32::new(0),
            silent_at: AtomicU64::new(0),
            heard_at: AtomicU64::new(0),
        }
    }

    /// The connection, for one call.
    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.dialed.connection.clone()
    }

    /// Cuts it off. Calls that wait on it fail at once instead of at their deadline.
    pub(super) fn cut(&self) {
        self.dialed.driver.abort();
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&self) -> bool {
        self.dialed.has_ended()
    }

    /// How old it is.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// For how long no reply has come.
    pub(super) fn quiet_for(&self) -> Duration {
        self.age().saturating_sub(Duration::from_nanos(self.heard_at.load(Ordering::Relaxed)))
    }

    /// Whether so many calls in a row were not answered that it may be dead.
    pub(super) fn is_doubted(&self) -> bool {
        self.silences.load(Ordering::Relaxed) >= SILENCES_TO_DOUBT
    }

    /// The reply to a question outside of any decision, if it comes within a quarter of a second.
    pub(super) async fn ask_patiently(&self, question: &Cmd) -> Option<Value> {
        let mut connection = self.connection();
        let reply = connection.send_packed_command(question);
        let reply = tokio::time::timeout(PATIENCE, reply).await.ok()?.ok()?;
        self.heard();
        Some(reply)
    }

    /// Whether it replies at all. Any reply will do, an error as well.
    pub(super) async fn shows_life(&self) -> bool {
        self.ask_patiently(&redis::cmd("PING")).await.is_some()
    }

    fn heard(&self) {
        self.silences.store(0, Ordering::Relaxed);
        self.heard_at.store(self.nanos(now()), Ordering::Relaxed);
    }

    /// A call that was sent at `sent` got no reply. Whether the connection is doubted now.
    fn was_silent(&self, sent: Instant) -> bool {
        let is_counted = self.silences.load(Ordering::Relaxed) > 0
            && self.nanos(sent) < self.silent_at.load(Ordering::Relaxed);
        if !is_counted {
            self.silent_at.store(self.nanos(now()), Ordering::Relaxed);
            self.silences.fetch_add(1, Ordering::Relaxed);
        }
        self.is_doubted()
    }

    fn nanos(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.since).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

/// A call that was sent. Given up without a reply, it counts as silence.
#[derive(Debug)]
pub(super) struct Outstanding<'a> {
    live: &'a Live,
    deadline: Duration,
    /// Wakes the supervisor, who finds out whether a doubted server lives.
    wake: &'a Notify,
    sent: Option<Instant>,
}

impl<'a> Outstanding<'a> {
    pub(super) fn new(live: &'a Live, deadline: Duration, wake: &'a Notify) -> Self {
        Self { live, deadline, wake, sent: Some(now()) }
    }

    /// The reply came.
    pub(super) fn answered(mut self) {
        self.sent = None;
        self.live.heard();
    }

    /// The connection broke, which is no silence.
    pub(super) fn broken(mut self) {
        self.sent = None;
    }
}

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        let Some(sent) = self.sent else { return };
        // Callers count from when they asked, which is a little earlier than the sending; whoever
        // goes away long before the deadline has other reasons.
        if sent.elapsed() >= self.deadline / 2 && self.live.was_silent(sent) {
            self.wake.notify_one();
        }
    }
}
