use std::path::Path;

use rate_limit_core::{DocumentName, DocumentRepository};
use rate_limit_core::{Expected, ManualClock, RateLimitPolicy, Written, conformance::block_on};
use rate_limit_sqlite::{Durability, SqliteError, SqliteRepository};
use rusqlite::Connection;

use crate::support::{Folder, ask, policy, user};

/// What is said when the file cannot be opened.
fn refusal(path: &Path) -> (SqliteError, String) {
    let error = SqliteRepository::open(path).unwrap_err();
    let text = error.to_string();
    (error, text)
}

#[test]
fn what_was_used_stays_used_over_a_restart() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let per_hour = || RateLimitPolicy::per_hour(10);
    let policies = [
        per_hour().named("tokens"),
        per_hour().named("fixed").fixed_window(),
        per_hour().named("aligned").aligned_window(),
        per_hour().named("sliding").sliding_window(),
        per_hour().named("log").sliding_log(),
    ]
    .map(policy);
    let name = DocumentName::new("rules").unwrap();
    {
        let store = folder.open(&clock);
        for policy in &policies {
            assert_eq!(ask(&store, &user(1), policy, 7).remaining, 3);
        }
        let written = block_on(store.write(&name, Expected::Absent, b"posted")).unwrap();
        assert!(matches!(written, Written::Done(_)));
    }
    let store = folder.open(&clock);
    for policy in &policies {
        assert_eq!(ask(&store, &user(1), policy, 2).remaining, 1, "{policy}");
        assert_eq!(ask(&store, &user(2), policy, 1).remaining, 9, "{policy}");
    }
    assert_eq!(block_on(store.read(&name)).unwrap().unwrap().content, b"posted");
}

#[test]
fn both_durabilities_write_the_same_file() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let ten = policy(RateLimitPolicy::per_hour(10));
    for (used, durability) in [(1, Durability::OutlivePowerCut), (2, Durability::OutliveProcess)] {
        let builder = SqliteRepository::builder(folder.file()).durability(durability);
        let store = builder.clock(clock.clone()).build().unwrap();
        assert_eq!(ask(&store, &user(1), &ten, 1).remaining, 10 - used);
    }
}

#[test]
fn a_file_that_is_in_use_is_refused_with_path_and_cure() {
    let folder = Folder::new();
    let store = SqliteRepository::open(folder.file()).unwrap();
    let (error, text) = refusal(&folder.file());
    assert!(matches!(error, SqliteError::InUse { .. }), "{text}");
    assert!(text.contains("limits.db") && text.contains("Redis"), "{text}");
    // A clone is not a second store, and the file is free when the last one has gone.
    let clone = store.clone();
    drop(store);
    assert!(matches!(refusal(&folder.file()).0, SqliteError::InUse { .. }));
    drop(clone);
    SqliteRepository::open(folder.file()).unwrap();
}

/// Two programs that start at the same moment, as after a restart of their machine.
#[test]
fn of_two_that_make_a_file_at_once_exactly_one_gets_it() {
    for round in 0..400 {
        let folder = Folder::new();
        let (path, start) = (folder.file(), std::sync::Barrier::new(2));
        let opened = std::thread::scope(|scope| {
            let open = || {
                start.wait();
                SqliteRepository::open(&path)
            };
            let other = scope.spawn(open);
            [open(), other.join().unwrap()]
        });
        let won = opened.iter().filter(|one| one.is_ok()).count();
        assert_eq!(won, 1, "round {round}: {opened:?}");
        let lost = opened.into_iter().find_map(Result::err).unwrap();
        assert!(matches!(lost, SqliteError::InUse { .. }), "round {round}: {lost}");
    }
}

#[test]
fn a_file_of_another_program_is_refused_and_not_touched() {
    let folder = Folder::new();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("CREATE TABLE customers (name TEXT)").unwrap();
    drop(other);
    let before = std::fs::read(folder.file()).unwrap();
    let (error, text) = refusal(&folder.file());
    assert!(matches!(error, SqliteError::Foreign { .. }), "{text}");
    assert!(text.contains("limits.db") && text.contains("1 tables"), "{text}");
    assert_eq!(std::fs::read(folder.file()).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_not_touched() {
    let folder = Folder::new();
    let text = "listen = \"127.0.0.1:8080\"\n".repeat(100);
    std::fs::write(folder.file(), &text).unwrap();
    let (error, told) = refusal(&folder.file());
    assert!(matches!(error, SqliteError::Foreign { .. }), "{told}");
    assert_eq!(std::fs::read_to_string(folder.file()).unwrap(), text);
}

#[test]
fn a_file_of_a_newer_version_is_refused() {
    let folder = Folder::new();
    drop(SqliteRepository::open(folder.file()).unwrap());
    Connection::open(folder.file()).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let (error, text) = refusal(&folder.file());
    assert!(matches!(error, SqliteError::Newer { found: 2, known: 1, .. }), "{text}");
    assert!(text.contains("limits.db") && text.contains("format 2"), "{text}");
}

#[test]
fn a_damaged_file_is_refused_with_path_and_cure() {
    let folder = Folder::new();
    let clock = ManualClock::new();
    {
        let (store, once) = (folder.open(&clock), policy(RateLimitPolicy::per_day(1)));
        for number in 0..500 {
            ask(&store, &user(number), &once, 1);
        }
    }
    let mut bytes = std::fs::read(folder.file()).unwrap();
    let whole = bytes.clone();
    // Every page but the first, which says whose file it is.
    for byte in bytes.iter_mut().skip(4_096).step_by(7) {
        *byte ^= 0x55;
    }
    std::fs::write(folder.file(), &bytes).unwrap();
    let (error, text) = refusal(&folder.file());
    assert!(matches!(error, SqliteError::Damaged { .. }), "{text}");
    assert!(text.contains("limits.db") && text.contains("backup"), "{text}");
    // A file that was cut off is damaged too.
    std::fs::write(folder.file(), &whole[..whole.len() / 2]).unwrap();
    let (error, text) = refusal(&folder.file());
    assert!(matches!(error, SqliteError::Damaged { .. }), "{text}");
    std::fs::write(folder.file(), &whole).unwrap();
    assert_eq!(folder.open(&clock).stats().taken, 500);
}

#[test]
fn a_path_that_cannot_work_is_refused_with_what_was_expected() {
    let folder = Folder::new();
    for path in [folder.file().join("below/limits.db"), folder.folder(), "".into()] {
        let (error, text) = refusal(&path);
        assert!(matches!(error, SqliteError::Unusable { .. }), "{text}");
        assert!(text.contains("existing folder"), "{text}");
    }
}

#[test]
fn options_that_cannot_work_are_refused_with_the_figures() {
    let folder = Folder::new();
    let builder = || SqliteRepository::builder(folder.file());
    let refused = [
        builder().max_keys(63).build().unwrap_err().to_string(),
        builder().max_queued(0).build().unwrap_err().to_string(),
    ];
    assert_eq!(
        refused,
        [
            "max_keys = 63 is out of range; expected 64 to 1000000000",
            "max_queued = 0 is out of range; expected 1 to 1000000",
        ]
    );
    assert!(!folder.file().exists(), "nothing was made");
}

/// Promise: no identity in clear in what a store keeps.
#[test]
fn nothing_in_the_folder_tells_who_the_clients_are() {
    let folder = Folder::new();
    let store = SqliteRepository::open(folder.file()).unwrap();
    let who = rate_limit_core::ClientIdentity::user("somebody@example.org").unwrap();
    ask(&store, &who, &policy(RateLimitPolicy::per_day(10)), 1);
    ask(&store, &who, &policy(RateLimitPolicy::per_day(10).sliding_log()), 1);
    let mut looked_at = 0;
    for file in std::fs::read_dir(folder.folder()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        looked_at += bytes.len();
        assert!(!bytes.windows(8).any(|part| part == b"somebody"));
    }
    assert!(looked_at > 8_192, "the file and its log were looked at");
    assert!(!format!("{store:?}").contains("somebody"));
}
