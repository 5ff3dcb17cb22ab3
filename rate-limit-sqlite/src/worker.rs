//! The thread that owns the file, and the way to it.
//!
//! Callers put closures into a queue of fixed length and get a future that needs no runtime. The
//! thread takes what is there, carries it out in one transaction, answers, and takes what has come
//! meanwhile: the longer a transaction takes, the more calls share the next one. There is no timer,
//! so a call that comes alone waits for nobody.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use futures_channel::oneshot;
use rate_limit_core::{Answer, RepositoryError, RepositoryErrorKind};

use crate::batch::{Asked, Call};
use crate::buckets::Session;
use crate::deciding::Answered;
use crate::stats::SqliteStats;

/// How many calls share a transaction at most, so that the first of them is not kept waiting by all
/// the others: a few milliseconds.
const MOST_PER_TRANSACTION: usize = 256;

/// The thread, from outside. Dropping it waits until everything that was asked is written.
pub(crate) struct Worker {
    queue: Option<SyncSender<Box<dyn Call>>>,
    thread: Option<JoinHandle<()>>,
    stats: Arc<Mutex<SqliteStats>>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If the operating system has no thread to give.
    pub(crate) fn start(session: Session, max_queued: usize) -> std::io::Result<Self> {
        let mut stats = SqliteStats { max_keys: session.cap, ..SqliteStats::default() };
        session.book.tell(&mut stats);
        let stats = Arc::new(Mutex::new(stats));
        let (queue, calls) = sync_channel(max_queued);
        let shared = stats.clone();
        let thread = std::thread::Builder::new()
            .name("rate-limit-sqlite".to_owned())
            .spawn(move || run(session, &calls, &shared))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), stats })
    }

    /// Puts `work` into the queue.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session) -> Answered<T> + Send + 'static,
    ) -> Answer<T> {
        let (reply_to, reply) = oneshot::channel();
        let call: Box<dyn Call> = Box::new(Asked::new(work, reply_to));
        match self.queue.as_ref().map(|queue| queue.try_send(call)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => {
                let text = "the queue of rate-limit-sqlite is full; expected at most max_queued \
                            calls at once";
                let kind = RepositoryErrorKind::Overloaded;
                return Answer::Ready(Err(RepositoryError::with_source(kind, text)));
            }
            Some(Err(TrySendError::Disconnected(_))) | None => return Answer::Ready(Err(gone())),
        }
        Answer::pending(async move { reply.await.unwrap_or_else(|_| Err(gone())) })
    }

    /// The figures after the latest transaction.
    pub(crate) fn stats(&self) -> SqliteStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(mut session: Session, calls: &Receiver<Box<dyn Call>>, stats: &Mutex<SqliteStats>) {
    let mut batch = Vec::with_capacity(MOST_PER_TRANSACTION);
    while let Ok(first) = calls.recv() {
        batch.push(first);
        batch.extend(calls.try_iter().take(MOST_PER_TRANSACTION - 1));
        session.carry_out(&mut batch, stats);
    }
}

fn gone() -> RepositoryError {
    let text = "the thread of rate-limit-sqlite has ended";
    RepositoryError::with_source(RepositoryErrorKind::Unavailable, text)
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.queue.take());
        // The last handle may be dropped by a task that the thread itself has woken; it cannot wait
        // for itself, and ends after it has returned from there.
        let own = std::thread::current().id();
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != own) {
            // A thread that has panicked has nothing left to write.
            _ = thread.join();
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
