use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use rate_limit_core::conformance::block_on;
use rate_limit_core::{
    Acquire, Answer, Charge, Charges, ClientIdentity, ManualClock, PolicyVerdict, RateLimitPolicy,
    RateLimitRepository, RepositoryErrorKind,
};
use tempfile::TempDir;

use crate::repository::SqliteRepository;

struct Bed {
    store: SqliteRepository,
    _folder: TempDir,
}

fn bed(max_queued: usize) -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let builder = SqliteRepository::builder(folder.path().join("limits.db"));
    let store = builder.clock(ManualClock::new()).max_queued(max_queued).build().unwrap();
    Bed { store, _folder: folder }
}

impl Bed {
    /// Asks for one of the hundred units that user `number` has per hour.
    fn take(&self, number: usize) -> Acquire {
        let policy = RateLimitPolicy::per_hour(100).build().unwrap();
        let who = ClientIdentity::user(number.to_string()).unwrap();
        self.store.acquire(&Charges::one(Charge::new(who, Arc::new(policy), 1)))
    }

    fn remaining(&self, number: usize) -> u64 {
        let outcomes = block_on(self.take(number)).unwrap();
        outcomes.get(0).unwrap().remaining
    }

    /// Holds the thread up, within a transaction. What is dropped lets it go on.
    fn hold_up(&self) -> (Sender<()>, Answer<()>) {
        let (entered, is_in) = channel();
        let (go_on, wait) = channel::<()>();
        let answer = self.store.worker().ask(move |_| {
            entered.send(()).unwrap();
            _ = wait.recv();
            Ok(Ok(()))
        });
        is_in.recv().unwrap();
        (go_on, answer)
    }

    fn pragma(&self, text: &'static str) {
        let run = block_on(self.store.worker().ask(move |session| {
            // Some of them answer with a row, which is not of interest.
            Ok(Ok(session.connection.execute_batch(text)?))
        }));
        run.unwrap();
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn kind(answer: Acquire) -> RepositoryErrorKind {
    block_on(answer).unwrap_err().kind()
}

#[test]
fn what_waits_while_a_transaction_is_under_way_shares_the_next_one() {
    let bed = bed(100);
    let (go_on, held) = bed.hold_up();
    let waiting: Vec<Acquire> = (0..64).map(|number| bed.take(number)).collect();
    drop(go_on);
    block_on(held).unwrap();
    for answer in waiting {
        let outcomes = block_on(answer).unwrap();
        assert_eq!(outcomes.get(0).unwrap().verdict, PolicyVerdict::Admit);
    }
    let stats = bed.store.stats();
    assert_eq!((stats.calls, stats.commits), (65, 1), "{stats:?}");
}

/// Red if a call is answered when it is carried out and not when it is written.
#[test]
fn nobody_is_answered_before_the_transaction_is_written() {
    let bed = bed(100);
    let (go_on, held) = bed.hold_up();
    let mut taken = bed.take(1);
    // Shares the transaction of the one before it, and holds it up.
    let (entered, is_in) = channel();
    let (finish, wait) = channel::<()>();
    let last = bed.store.worker().ask(move |_| {
        entered.send(()).unwrap();
        _ = wait.recv();
        Ok(Ok(()))
    });
    drop(go_on);
    block_on(held).unwrap();
    is_in.recv().unwrap();
    assert!(poll(&mut taken).is_pending(), "it was carried out and is not written yet");
    drop(finish);
    block_on(last).unwrap();
    assert!(block_on(taken).is_ok());
}

#[test]
fn a_full_queue_refuses_at_once_and_empties_again() {
    let bed = bed(2);
    let (go_on, held) = bed.hold_up();
    let waiting = [bed.take(1), bed.take(1)];
    let refused = bed.take(1);
    assert!(matches!(refused, Answer::Ready(Err(_))), "nobody waits to be refused");
    assert_eq!(kind(refused), RepositoryErrorKind::Overloaded);
    drop(go_on);
    block_on(held).unwrap();
    for answer in waiting {
        block_on(answer).unwrap();
    }
    assert_eq!(bed.remaining(1), 97, "the refused call was not charged");
}

#[test]
fn who_has_gone_away_is_not_charged() {
    let bed = bed(10);
    let (go_on, held) = bed.hold_up();
    drop(bed.take(1));
    drop(go_on);
    block_on(held).unwrap();
    assert_eq!(bed.remaining(1), 99);
}

#[test]
fn dropping_the_store_writes_what_was_asked() {
    let bed = bed(100);
    let (go_on, held) = bed.hold_up();
    let waiting: Vec<Acquire> = (0..50).map(|_| bed.take(1)).collect();
    drop(go_on);
    let Bed { store, _folder } = bed;
    drop(store);
    block_on(held).unwrap();
    assert!(waiting.into_iter().all(|answer| block_on(answer).is_ok()), "all were answered");
    let store = SqliteRepository::open(_folder.path().join("limits.db")).unwrap();
    assert_eq!(store.stats().taken, 1, "the file was given back and holds what was written");
}

#[test]
fn a_denial_writes_nothing() {
    let bed = bed(10);
    for _ in 0..100 {
        block_on(bed.take(1)).unwrap();
    }
    let before = bed.store.stats().commits;
    let changes = || {
        let ask = bed.store.worker().ask(|session| Ok(Ok(session.connection.total_changes())));
        block_on(ask).unwrap()
    };
    let changed = changes();
    for _ in 0..20 {
        let outcomes = block_on(bed.take(1)).unwrap();
        assert_eq!(outcomes.get(0).unwrap().verdict, PolicyVerdict::Deny);
    }
    assert_eq!(bed.store.stats().commits, before);
    assert_eq!(changes(), changed, "SQLite has counted no changed row");
}

#[test]
fn a_full_disk_is_an_error_for_the_whole_transaction_and_service_resumes() {
    let bed = bed(100);
    // New clients until the last page is taken.
    bed.pragma("PRAGMA max_page_count = 1");
    let mut number = 0;
    let full = loop {
        number += 1;
        if let Err(error) = block_on(bed.take(number)) {
            break error;
        }
    };
    assert_eq!(full.kind(), RepositoryErrorKind::Unavailable);
    let source = std::error::Error::source(&full).unwrap().to_string();
    assert!(source.contains("limits.db") && source.contains("full"), "{source}");
    let before = bed.store.stats();

    // A charge on a row that is there shares a transaction with one that finds no room.
    let (go_on, held) = bed.hold_up();
    let (known, unknown) = (bed.take(1), bed.take(number));
    drop(go_on);
    block_on(held).unwrap();
    assert_eq!(kind(known), RepositoryErrorKind::Unavailable);
    assert_eq!(kind(unknown), RepositoryErrorKind::Unavailable);
    let stats = bed.store.stats();
    assert_eq!((stats.taken, stats.commits), (before.taken, before.commits));
    assert_eq!(stats.failures, before.failures + 1, "{stats:?}");
    assert_eq!(bed.remaining(1), 98, "of the failed transaction nothing was kept");

    bed.pragma("PRAGMA max_page_count = 1000000");
    assert_eq!(bed.remaining(number), 99, "service resumes, and nothing was charged meanwhile");
}

#[test]
fn a_file_that_may_not_be_written_is_misconfigured_until_it_may() {
    let bed = bed(100);
    bed.pragma("PRAGMA query_only = true");
    assert_eq!(kind(bed.take(1)), RepositoryErrorKind::Misconfigured);
    bed.pragma("PRAGMA query_only = false");
    assert_eq!(bed.remaining(1), 99);
}

#[test]
fn a_lost_table_is_told_and_damages_nothing_else() {
    let bed = bed(100);
    bed.pragma("ALTER TABLE bucket RENAME TO lost");
    assert_eq!(kind(bed.take(1)), RepositoryErrorKind::Unavailable);
    bed.pragma("ALTER TABLE lost RENAME TO bucket");
    assert_eq!(bed.remaining(1), 99);
}

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a task that cannot be woken");
    }
}

#[test]
fn a_task_that_panics_when_it_is_woken_does_not_end_the_store() {
    let bed = bed(100);
    let (go_on, held) = bed.hold_up();
    let mut taken = bed.take(1);
    let waker = Waker::from(Arc::new(Panics));
    assert!(Pin::new(&mut taken).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(go_on);
    block_on(held).unwrap();
    assert_eq!(bed.remaining(1), 98);
}

/// Drops a store when it is woken, and tells that it has.
struct Drops(Mutex<Option<(SqliteRepository, Sender<()>)>>);

impl Wake for Drops {
    fn wake(self: Arc<Self>) {
        if let Some((store, dropped)) = self.0.lock().unwrap().take() {
            drop(store);
            dropped.send(()).unwrap();
        }
    }
}

/// The thread cannot wait for itself.
#[test]
fn the_last_handle_may_be_dropped_by_whoever_is_woken() {
    let Bed { store, _folder } = bed(100);
    let (go_on, wait) = channel::<()>();
    let mut held = store.worker().ask(move |_| {
        _ = wait.recv();
        Ok(Ok(()))
    });
    let (dropped, is_dropped) = channel();
    let waker = Waker::from(Arc::new(Drops(Some((store, dropped)).into())));
    assert!(Pin::new(&mut held).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(go_on);
    is_dropped.recv().unwrap();
    assert!(block_on(held).is_ok());
}
