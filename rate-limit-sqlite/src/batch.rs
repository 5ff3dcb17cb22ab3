//! One transaction for all calls that wait: carried out one after the other, answered together once
//! it is written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use futures_channel::oneshot;
use rate_limit_core::RepositoryError;

use crate::buckets::{Book, Session};
use crate::deciding::Answered;
use crate::failure::Failure;
use crate::stats::SqliteStats;

/// A call on its way through a transaction.
pub(crate) trait Call: Send {
    /// Whether somebody still waits for the answer.
    fn is_awaited(&self) -> bool;

    /// Carries the call out and keeps its answer. An error ends the whole transaction.
    fn carry_out(&mut self, session: &mut Session) -> rusqlite::Result<()>;

    /// Delivers the answer, or the reason why there is none.
    fn answer(self: Box<Self>, written: Result<(), &Failure>);
}

/// A [`Call`] made of a closure.
pub(crate) struct Asked<F, T> {
    work: Option<F>,
    answer: Option<Result<T, RepositoryError>>,
    reply_to: oneshot::Sender<Result<T, RepositoryError>>,
}

impl<F, T> Asked<F, T> {
    pub(crate) const fn new(
        work: F,
        reply_to: oneshot::Sender<Result<T, RepositoryError>>,
    ) -> Self {
        Self { work: Some(work), answer: None, reply_to }
    }
}

impl<F, T> Call for Asked<F, T>
where
    F: FnOnce(&mut Session) -> Answered<T> + Send,
    T: Send,
{
    fn is_awaited(&self) -> bool {
        !self.reply_to.is_canceled()
    }

    fn carry_out(&mut self, session: &mut Session) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.answer = Some(work(session)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, written: Result<(), &Failure>) {
        let answer = match (written, self.answer) {
            (Ok(()), Some(answer)) => answer,
            (Err(failure), _) => Err(failure.into()),
            (Ok(()), None) => return, // It was not carried out, because nobody waits.
        };
        // Whoever went away meanwhile does not need it.
        _ = self.reply_to.send(answer);
    }
}

impl Session {
    /// Carries out all calls of `batch` in one transaction, and answers them when it is written.
    pub(crate) fn carry_out(&mut self, batch: &mut Vec<Box<dyn Call>>, stats: &Mutex<SqliteStats>) {
        let before = self.book;
        self.book.written = 0;
        let result = self.in_one_transaction(batch);
        let failure = result.err().map(|error| {
            self.roll_back(before);
            Failure::new(&self.path, &error)
        });
        {
            let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
            stats.calls += batch.len() as u64;
            stats.commits += u64::from(failure.is_none() && self.book.written > 0);
            stats.failures += u64::from(failure.is_some());
            self.book.tell(&mut stats);
        }
        for call in batch.drain(..) {
            let written = failure.as_ref().map_or(Ok(()), Err);
            // Answering wakes somebody else's task. If that panics, it is not the end of the store.
            _ = catch_unwind(AssertUnwindSafe(|| call.answer(written)));
        }
    }

    fn in_one_transaction(&mut self, batch: &mut [Box<dyn Call>]) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        for call in batch.iter_mut().filter(|call| call.is_awaited()) {
            call.carry_out(self)?;
        }
        if self.book.written > 0 {
            let now = self.timeline.now();
            self.clear_expired(now)?;
            self.renew_mark(now)?;
        }
        // Of a transaction that has changed nothing this writes nothing.
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Undoes what a failed transaction has done to the file and to the book. What fails here has
    /// been undone by SQLite already.
    fn roll_back(&mut self, before: Book) {
        if !self.connection.is_autocommit() {
            _ = self.connection.execute_batch("ROLLBACK");
        }
        self.book = Book { written: 0, ..before };
    }
}
