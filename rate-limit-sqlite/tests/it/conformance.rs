use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use rate_limit_core::ManualClock;
use rate_limit_core::conformance::{self, Profile, WithDocuments, random_steps};
use rate_limit_sqlite::SqliteRepository;
use tempfile::TempDir;

/// Makes stores in files of their own.
struct Files {
    folder: TempDir,
    number: AtomicU64,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), number: AtomicU64::new(0) }
    }

    fn next(&self) -> PathBuf {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        self.folder.path().join(format!("{number}.db"))
    }

    fn fresh(&self, clock: ManualClock) -> SqliteRepository {
        SqliteRepository::builder(self.next()).clock(clock).build().unwrap()
    }
}

#[test]
fn keeps_the_contract() {
    let files = Files::new();
    conformance::check(Profile::Atomic, WithDocuments(|clock| files.fresh(clock)));
}

/// Case A01.
#[test]
fn a01_random_steps_equal_the_model() {
    let files = Files::new();
    let fresh = |clock: ManualClock| files.fresh(clock);
    let run = random_steps(&fresh, 20_261_127, 60_000).unwrap_or_else(|found| panic!("{found}"));
    println!("{run:?}");
    assert!(run.allowed > 3_000 && run.denied > 3_000 && run.settled > 300, "{run:?}");
}
