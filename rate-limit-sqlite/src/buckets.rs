//! The rows of a file, and what has to be known of them beside the file.
//!
//! [`Session`] is what the thread of a store owns. [`Book`] holds the figures that would take a scan
//! to find out; it is changed together with the rows, and put back if their transaction fails.

use std::path::PathBuf;
use std::time::Duration;

use rate_limit_core::{Now, TimeAxis, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::key::Key;
use crate::stats::SqliteStats;
use crate::stored::Stored;
use crate::timeline::Timeline;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) timeline: Timeline,
    pub(crate) book: Book,
    pub(crate) cap: u64,
}

/// See the module documentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Book {
    /// The weight of all rows together.
    pub(crate) taken: u64,
    /// A lower bound of what is first in the queue of each axis: it decides when to look, never what
    /// is true.
    pub(crate) earliest: [Timestamp; 2],
    /// The latest instant that was written.
    pub(crate) mark: Timestamp,
    /// Rows that this transaction has written.
    pub(crate) written: usize,
    pub(crate) cleared: u64,
    pub(crate) evicted_in_debt: u64,
    pub(crate) forgiven_nanos: u64,
}

/// A row, without its key.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// A lower bound of the instant from which the row may be cleared.
    pub(crate) queued: i64,
    pub(crate) weight: u32,
    pub(crate) bytes: Vec<u8>,
}

const UPSERT: &str = "INSERT INTO bucket (key, axis, queued, weight, state) \
     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO UPDATE \
     SET queued = excluded.queued, weight = excluded.weight, state = excluded.state";

impl Book {
    pub(crate) const fn new(taken: u64, mark: Timestamp) -> Self {
        Self {
            taken,
            // Nobody has looked yet.
            earliest: [Timestamp::ORIGIN; 2],
            mark,
            written: 0,
            cleared: 0,
            evicted_in_debt: 0,
            forgiven_nanos: 0,
        }
    }

    /// Adds what is known here to `stats`.
    pub(crate) const fn tell(&self, stats: &mut SqliteStats) {
        stats.taken = self.taken;
        stats.cleared = self.cleared;
        stats.evicted_in_debt = self.evicted_in_debt;
        stats.forgiven = Duration::from_nanos(self.forgiven_nanos);
    }
}

impl Found {
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let weight: i64 = row.get("weight")?;
        Ok(Self {
            queued: row.get("queued")?,
            weight: u32::try_from(weight).unwrap_or(1),
            bytes: row.get("state")?,
        })
    }
}

/// The number of an axis in the file.
pub(crate) const fn axis_number(axis: TimeAxis) -> usize {
    match axis {
        TimeAxis::Monotonic => 0,
        TimeAxis::Utc => 1,
    }
}

/// A small number as SQLite takes it.
pub(crate) fn sql(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An instant as the queue is ordered by it. The year 2262 is the last that SQLite can count to in
/// nanoseconds; what lies beyond waits there.
pub(crate) fn in_queue(instant: Timestamp) -> i64 {
    i64::try_from(instant.as_nanos()).unwrap_or(i64::MAX)
}

/// The other way round.
pub(crate) fn out_of_queue(queued: i64) -> Timestamp {
    Timestamp::from_nanos(queued.try_into().unwrap_or(0))
}

impl Session {
    /// The row under `key`.
    pub(crate) fn find(&self, key: Key) -> rusqlite::Result<Option<Found>> {
        let mut select = self
            .connection
            .prepare_cached("SELECT queued, weight, state FROM bucket WHERE key = ?1")?;
        select.query_row([key.as_bytes()], Found::read).optional()
    }

    /// Writes a row where `found` is what was there.
    pub(crate) fn put(
        &mut self,
        key: Key,
        axis: TimeAxis,
        found: Option<&Found>,
        new: &Stored,
    ) -> rusqlite::Result<()> {
        let queued = in_queue(new.full_at);
        let (axis, weight) = (axis_number(axis), u64::from(new.weight));
        let before = found.map_or(0, |found| found.weight.into());
        match found {
            // The usual case: what was owed became more, and the queue can wait.
            Some(found) if found.queued <= queued => {
                let text = "UPDATE bucket SET weight = ?2, state = ?3 WHERE key = ?1";
                let mut update = self.connection.prepare_cached(text)?;
                update.execute(params![key.as_bytes(), new.weight, new.bytes])?;
            }
            _ => {
                let row = params![key.as_bytes(), sql(axis), queued, new.weight, new.bytes];
                self.connection.prepare_cached(UPSERT)?.execute(row)?;
                self.note_queued(axis, queued);
            }
        }
        self.book.taken = self.book.taken.saturating_add(weight).saturating_sub(before);
        self.book.written += 1;
        Ok(())
    }

    /// Removes the row under `key`, which weighs `weight`.
    pub(crate) fn remove(&mut self, key: Key, weight: u32) -> rusqlite::Result<()> {
        let mut delete = self.connection.prepare_cached("DELETE FROM bucket WHERE key = ?1")?;
        delete.execute([key.as_bytes()])?;
        self.book.taken = self.book.taken.saturating_sub(weight.into());
        self.book.written += 1;
        Ok(())
    }

    /// Brings the place of a row in the queue up to date.
    pub(crate) fn requeue(&mut self, key: Key, full_at: Timestamp) -> rusqlite::Result<()> {
        let text = "UPDATE bucket SET queued = ?2 WHERE key = ?1";
        let mut update = self.connection.prepare_cached(text)?;
        update.execute(params![key.as_bytes(), in_queue(full_at)])?;
        self.book.written += 1;
        Ok(())
    }

    /// The first `count` rows in the queue of `axis`, with their keys.
    pub(crate) fn front(
        &self,
        axis: TimeAxis,
        count: usize,
    ) -> rusqlite::Result<Vec<(Key, Found)>> {
        let mut select = self.connection.prepare_cached(
            "SELECT key, queued, weight, state FROM bucket WHERE axis = ?1 ORDER BY queued LIMIT ?2",
        )?;
        let rows = select.query_map(params![sql(axis_number(axis)), sql(count)], |row| {
            Ok((row.get::<_, [u8; 16]>("key")?.into(), Found::read(row)?))
        })?;
        rows.collect()
    }

    /// Writes down the present instant, if that is due.
    pub(crate) fn renew_mark(&mut self, now: Now) -> rusqlite::Result<()> {
        if Timeline::is_mark_due(self.book.mark, now) {
            let mut update = self.connection.prepare_cached("UPDATE file SET mark = ?1")?;
            update.execute([in_queue(now.monotonic)])?;
            self.book.mark = now.monotonic;
        }
        Ok(())
    }

    fn note_queued(&mut self, axis: usize, queued: i64) {
        if let Some(earliest) = self.book.earliest.get_mut(axis) {
            *earliest = (*earliest).min(out_of_queue(queued));
        }
    }
}
